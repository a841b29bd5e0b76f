use std::{
    collections::HashSet,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, SemaphorePermit},
    task, time,
};
use tokio_util::task::AbortOnDropHandle;
use tower_service::Service;

use super::{
    InboxError,
    backoff::{Backoff, LONGEST_BACKOFF},
    record::{Stored, seconds_from_now, storable_error},
    store::{
        ANSWER, Claim, Claimed, Database, End, LONG_ANSWER, Settled, Start, Store, StoreFuture,
    },
    telemetry,
    worker::{Held, PAUSE},
};
use crate::pool::pool_for;
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::EventError, handler::HandlerRun};

/// When an event is tried again, and when no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
}

/// Handles one claimed event a call, as the service of an apalis worker.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Inner>);

struct Inner {
    database: Database,
    registry: HandlerRegistry,
    rules: Rules,
    worker: Arc<str>,
    held: Held,
    room: Room,
}

impl Attempts {
    pub(crate) fn new(
        database: Database,
        registry: HandlerRegistry,
        rules: Rules,
        worker: Arc<str>,
        held: Held,
    ) -> Self {
        Self(Arc::new(Inner {
            database,
            registry,
            rules,
            worker,
            held,
            room: Room::new(BODIES),
        }))
    }
}

impl Service<Claimed> for Attempts {
    type Response = ();
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<(), Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Claimed) -> Self::Future {
        let inner = Arc::clone(&self.0);
        let claim = Claim {
            id: task.task_id().map(ToString::to_string).unwrap_or_default(),
            worker: Arc::clone(&inner.worker),
            // apalis counts up as soon as the future is polled.
            attempts: u32::try_from(task.attempt()).unwrap_or(u32::MAX),
            number: task.args.number,
            body_bytes: task.args.body_bytes,
        };
        let holding = inner.held.hold(&claim.id);
        Box::pin(async move {
            // A task of its own: apalis polls all futures of a worker on one.
            let attempt = {
                let (inner, claim, holding) = (inner.clone(), claim.clone(), holding.clone());
                tokio::spawn(async move {
                    inner.attempt(&claim).await;
                    drop(holding);
                })
            };
            if AbortOnDropHandle::new(attempt).await.is_err() {
                // It is still marked as ours, and we are alive: nobody else would ever take it.
                loop {
                    let (inner, claim) = (inner.clone(), claim.clone());
                    let end = tokio::spawn(async move { inner.broke(&claim).await });
                    if AbortOnDropHandle::new(end).await.is_ok() {
                        break;
                    }
                    time::sleep(PAUSE).await;
                }
                drop(holding);
            }
            Ok(())
        })
    }
}

impl Inner {
    async fn attempt(&self, claim: &Claim) {
        // Taken before the body is read, and given back when nothing is left of the event here.
        let _taken = self.room.take(claim.body_bytes).await;
        let number = claim.attempts.saturating_add(1);
        let (stored, settled) = match self.start(claim).await {
            Ok(Start::Begun { stored, settled }) => (stored, settled),
            Ok(Start::Busy) => return,
            Ok(Start::Lost) => return telemetry::lost(&claim.id),
            Err(error) => {
                let end = self.failed(number, format!("it could not be read: {error}"), None);
                return self.finish(claim, None, end).await;
            }
        };
        if number > self.rules.max_attempts {
            return self.finish(claim, None, End::Exhausted).await;
        }
        let event = match event(stored, number).await {
            Ok(event) => event,
            Err(error) => {
                let error = format!("what is stored is no event: {error}");
                return self.finish(claim, None, End::Dead { error }).await;
            }
        };
        let handled = self.handle(claim, event.clone(), settled, number);
        let end = telemetry::in_span(&event, handled).await;
        self.finish(claim, Some(&event), end).await;
    }

    /// Begins to handle an event. While the database does not answer that is waited for; where it does, and only this event
    /// cannot be read, that is an error, lest it keep others from their turn for ever.
    async fn start(&self, claim: &Claim) -> Result<Start, InboxError> {
        let mut unreadable = 0;
        loop {
            // A large body may take long over a slow network.
            let limit = if unreadable == 0 { ANSWER } else { LONG_ANSWER };
            let start = try_once("start", &self.database, limit, |store| store.start(claim));
            let error = match start.await {
                Ok(start) => return Ok(start),
                Err(error) => error,
            };
            let answers = self.database.ask(|store| store.probe()).await.is_ok();
            unreadable = if answers { unreadable + 1 } else { 0 };
            if unreadable == MOST_UNREADABLE {
                return Err(error);
            }
        }
    }

    /// Ends an attempt that panicked outside of any handler, as a recorder of logs or metrics may.
    async fn broke(&self, claim: &Claim) {
        let error = "the worker panicked, outside of any handler".to_owned();
        let end = self.failed(claim.attempts.saturating_add(1), error, None);
        self.finish(claim, None, end).await;
    }

    /// Runs the handlers that are not through with the event.
    async fn handle(
        &self,
        claim: &Claim,
        event: WebhookEvent,
        settled: Vec<Settled>,
        number: u32,
    ) -> End {
        let mut given_up = settled.iter().find_map(|settled| settled.error.clone());
        let names: HashSet<String> = settled.into_iter().map(|settled| settled.handler).collect();
        let mut failure = None;
        let mut delay = None;
        // Written down only if another handler follows, before that begins: the end of the event says so for the last one.
        let mut unwritten: Option<Settled> = None;

        let mut handling = self
            .registry
            .begin(event, |name| names.contains(name))
            .await;
        while let Some(next) = handling.next() {
            if let Some(settled) = unwritten.take() {
                self.settle(claim, settled).await;
            }
            let run = next.run().await;
            let error = error_of(&run);
            if run.outcome.is_retryable() {
                failure = failure.or(error);
                delay = delay.max(run.outcome.retry_delay());
            } else {
                given_up = given_up.or_else(|| error.clone());
                let handler = run.name.to_string();
                unwritten = Some(Settled { handler, error });
            }
        }
        if failure.is_some() || given_up.is_some() {
            if let Some(settled) = unwritten {
                self.settle(claim, settled).await;
            }
        } else {
            handling.succeeded();
        }

        match (failure, given_up) {
            (None, None) => End::Handled,
            (Some(error), _) => self.failed(number, error, delay),
            (None, Some(error)) => End::Dead { error },
        }
    }

    /// Returns the end of a failed attempt. The retry is due after `delay`, if a handler asked for one, else after the backoff.
    fn failed(&self, number: u32, error: String, delay: Option<Duration>) -> End {
        if number < self.rules.max_attempts {
            let pause = match delay {
                Some(delay) => delay.min(LONGEST_BACKOFF),
                None => self.rules.backoff.after(number),
            };
            let at = seconds_from_now(pause);
            End::Retry { at, error }
        } else {
            End::Dead { error }
        }
    }

    async fn settle(&self, claim: &Claim, settled: Settled) {
        persist("settle", &self.database, |store| {
            store.settle(claim, settled.clone())
        })
        .await;
    }

    async fn finish(&self, claim: &Claim, event: Option<&WebhookEvent>, end: End) {
        let finished = persist("finish", &self.database, |store| {
            store.finish(claim, end.clone())
        });
        if finished.await {
            telemetry::finished(&claim.id, event, &end);
        } else {
            telemetry::lost(&claim.id);
        }
    }
}

/// The memory for the events that a worker handles, counted in bytes of their bodies: a body and its typed output together take
/// at most six times the body.
struct Room {
    free: Semaphore,
    size: u32,
}

impl Room {
    fn new(size: u32) -> Self {
        Self {
            free: Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)),
            size,
        }
    }

    /// Waits until there is room for a body, in the order of the calls.
    ///
    /// A small body never waits. One that is larger than the room takes all of it, so that it is handled alone.
    async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let counted = u32::try_from(bytes.saturating_sub(SMALL)).unwrap_or(self.size);
        match counted.min(self.size) {
            0 => None,
            // It fails only if the semaphore is closed, which it never is.
            counted => self.free.acquire_many(counted).await.ok(),
        }
    }
}

/// Does what must not be left undone: while this worker lives, its lease is kept up, and nobody else would do it.
pub(crate) async fn persist<'a, T>(
    what: &'static str,
    database: &'a Database,
    work: impl Fn(&'a dyn Store) -> StoreFuture<'a, T>,
) -> T {
    loop {
        let done = try_once(what, database, ANSWER, &work).await;
        database.recent().results.note(&done);
        if let Ok(done) = done {
            return done;
        }
    }
}

/// Tries to do what is to be tried again if it fails: then the failure is told of, and a pause made.
async fn try_once<'a, T>(
    what: &'static str,
    database: &'a Database,
    limit: Duration,
    work: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
) -> Result<T, InboxError> {
    let done = database.ask_within(limit, work).await;
    match &done {
        // sqlx gives the connection back in a task that this thread runs next: not after a handler that blocks it, as SQLite
        // has but one writer.
        Ok(_) => task::yield_now().await,
        Err(error) => {
            telemetry::store_failed(what, error);
            time::sleep(PAUSE).await;
        }
    }
    done
}

/// Makes the event that was stored, in the blocking pool if it is large.
pub(crate) async fn event(stored: Stored, attempt: u32) -> Result<WebhookEvent, EventError> {
    match pool_for(stored.body.len()) {
        None => stored.into_event(attempt),
        Some(pool) => match pool
            .spawn_blocking(move || stored.into_event(attempt))
            .await
        {
            Ok(event) => event,
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is being shut down, and this task with it.
                Err(_) => std::future::pending().await,
            },
        },
    }
}

fn error_of(run: &HandlerRun) -> Option<String> {
    if run.outcome.is_success() {
        return None;
    }
    let mut error = None;
    // The `Display` of a handler's error may panic.
    telemetry::guarded(|| {
        error = Some(storable_error(
            &run.name,
            &format_args!("{:#}", run.outcome),
        ));
    });
    Some(error.unwrap_or_else(|| format!("{}: an error that cannot be shown", run.name)))
}

/// How often an event cannot be read, where the database answers, before that is an attempt that failed.
const MOST_UNREADABLE: u32 = 3;

/// How many bytes of bodies a worker handles at a time: as many as the longest body that the layer accepts by default.
const BODIES: u32 = 128 << 20;

/// How many bytes of a body are not counted.
const SMALL: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Waker};

    use super::*;

    fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn bodies_wait_for_room_and_small_ones_do_not() {
        let room = Room::new(100);
        let first = is_ready(room.take(SMALL + 60)).unwrap();
        let second = is_ready(room.take(SMALL + 40)).unwrap();
        assert!(is_ready(room.take(SMALL + 1)).is_none());
        assert!(is_ready(room.take(SMALL)).is_some_and(|taken| taken.is_none()));
        drop(second);
        assert!(is_ready(room.take(SMALL + 41)).is_none());
        let third = is_ready(room.take(SMALL + 40)).unwrap();
        drop((first, third));
        assert_eq!(room.free.available_permits(), 100);
    }

    #[test]
    fn a_body_larger_than_the_room_is_handled_alone() {
        let room = Room::new(100);
        for bytes in [SMALL + 101, u64::MAX] {
            let first = is_ready(room.take(SMALL + 1)).unwrap();
            assert!(is_ready(room.take(bytes)).is_none());
            drop(first);
            let alone = is_ready(room.take(bytes)).unwrap();
            assert!(is_ready(room.take(SMALL + 1)).is_none());
            drop(alone);
        }
        assert_eq!(room.free.available_permits(), 100);
    }

    #[test]
    fn a_large_body_that_waits_is_not_passed_by_smaller_ones() {
        let room = Room::new(100);
        let _first = is_ready(room.take(SMALL + 50)).unwrap();
        let mut large = pin!(room.take(SMALL + 100));
        assert!(is_ready(large.as_mut()).is_none());
        assert!(is_ready(room.take(SMALL + 10)).is_none());
    }
}
