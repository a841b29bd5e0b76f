use std::{
    collections::{HashMap, HashSet},
    fmt,
    future::Future,
    io,
    sync::Arc,
    time::Duration,
};

use apalis_core::worker::{builder::WorkerBuilder, context::WorkerContext};
use tokio::{
    sync::{Notify, futures::Notified, watch},
    time,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower::limit::ConcurrencyLimitLayer;
use ulid::Ulid;

use super::{
    Inbox, InboxError, InboxErrorKind,
    backoff::{Backoff, LONGEST_BACKOFF},
    feed::Feed,
    store::Database,
    telemetry,
    work::{Attempts, Rules, persist},
};
use crate::ConfigError;
use tower_pyannote::HandlerRegistry;

/// Runs handlers over what an [`Inbox`] has committed, until each event is handled.
///
/// 1. Up to 4 events are handled [at a time](Self::with_concurrency); those of one job one after another, whichever worker
///    they come to.
/// 2. Each handler runs under the registry's time limit. What it returns, and what it panics with, decides: an event is
///    tried again while a handler failed that another attempt may help, up to [8 attempts](Self::with_max_attempts), with
///    [growing pauses](Self::with_backoff) between them.
/// 3. Of several handlers only those meet an event again that did not succeed; their names tell them apart. A
///    [permanent](tower_pyannote::HandlerError::permanent) error is not repeated.
/// 4. An event is *dead* when its attempts are used up, or when a permanent error is all that is left. It stays in the
///    store, is counted, and can be listed and [replayed](Inbox::replay).
/// 5. Handled events are pruned after [7 days](Self::with_retention).
/// 6. A worker that dies loses what it held to the others after its [lease](Self::with_lease), 30 s. That counts as an
///    attempt, so that an event which kills its worker is not taken up for ever.
///
/// Leases and pauses go by the clocks of the workers' machines, or PostgreSQL's: a clock that jumps forward by more than a
/// lease makes a live worker seem dead.
///
/// **Handlers must be idempotent.** An event is handled at least once: if a worker dies between the end of a handler and
/// the note of it, or is cut off for longer than its lease, that handler meets the event again.
///
/// See [`Inbox`] for an example.
#[must_use = "a worker does nothing until it is run"]
pub struct InboxWorker {
    inbox: Inbox,
    registry: HandlerRegistry,
    concurrency: usize,
    rules: Rules,
    lease: Duration,
    drain: Duration,
    retention: Duration,
}

impl InboxWorker {
    pub(crate) fn new(inbox: Inbox, registry: HandlerRegistry) -> Self {
        Self {
            inbox,
            registry,
            concurrency: 4,
            rules: Rules {
                max_attempts: 8,
                backoff: Backoff {
                    first: Duration::from_secs(5),
                    longest: Duration::from_secs(60 * 60),
                },
            },
            lease: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            retention: WEEK,
        }
    }

    /// Sets how many events are handled at a time. Default: 4.
    ///
    /// All together have bodies of at most 128 MiB, of which the first 64 KiB of each body are not counted: a larger event
    /// waits until others are handled. A body and its typed output take at most six times the body, and 64 KiB, so that a
    /// worker takes at most 768 MiB and 448 KiB for each event. What a handler keeps of an event when it is done is not
    /// counted.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for 0, and for more than 10,000.
    pub fn with_concurrency(mut self, events: usize) -> Result<Self, ConfigError> {
        let fits = (1..=10_000).contains(&events);
        demand(fits, "concurrency", "from 1 to 10000")?;
        self.concurrency = events;
        Ok(self)
    }

    /// Sets how often an event is tried before it is dead. Default: 8, which with the default pauses is 10 to 21 minutes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for 0.
    pub fn with_max_attempts(mut self, attempts: u32) -> Result<Self, ConfigError> {
        demand(attempts > 0, "max_attempts", "at least 1")?;
        self.rules.max_attempts = attempts;
        Ok(self)
    }

    /// Sets the pause after the first failed attempt, and the longest one. Default: 5 s and 1 h.
    ///
    /// Each pause is twice the one before, up to the longest, and up to as much again at random, so that what failed
    /// together does not come again together. The store counts in whole seconds. If handlers ask for a pause by
    /// [`HandlerError::retry_after`](tower_pyannote::HandlerError::retry_after), the longest of their pauses, at most 7 days,
    /// replaces the backoff.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] if the first is longer than the longest, or that longer than 7 days.
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Result<Self, ConfigError> {
        demand(
            first <= longest && longest <= LONGEST_BACKOFF,
            "backoff",
            "the first pause at most as long as the longest, and that at most 7 days",
        )?;
        self.rules.backoff = Backoff { first, longest };
        Ok(self)
    }

    /// Sets how long a worker may be silent before others take what it holds. Default: 30 s.
    ///
    /// All workers of an inbox need the same.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for less than 3 s, and for more than an hour.
    pub fn with_lease(mut self, lease: Duration) -> Result<Self, ConfigError> {
        let fits = (SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease);
        demand(fits, "lease", "from 3 s to 1 h")?;
        self.lease = lease;
        Ok(self)
    }

    /// Sets how long handlers may still run when the worker is stopped; what is not done by then is cut off and handed back.
    /// Default: 10 s.
    ///
    /// A handler is cut off where it waits. One that computes, or blocks its thread, is given 5 s more; its event is then
    /// left to the lease. To hand back may take another 5 s, if the database is slow.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    /// Sets how long handled events are kept, and duplicates of them known. Default: 7 days.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for less than an hour: pyannoteAI still repeats deliveries then.
    pub fn with_retention(mut self, age: Duration) -> Result<Self, ConfigError> {
        demand(age >= SHORTEST_RETENTION, "retention", "at least 1 h")?;
        self.retention = age;
        Ok(self)
    }

    /// Works until `stop` completes; then finishes what runs, or hands it back.
    ///
    /// While the database does not answer it waits for it.
    ///
    /// # Errors
    ///
    /// Returns an error if what ran could not be handed back, as the database failed; other workers take it after the lease.
    /// It is [`InboxErrorKind::Closed`] if the work ended by itself.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), InboxError> {
        let context = WorkerContext::new(&format!("tower-pyannote-{}", Ulid::generate()));
        let database = self.inbox.database.clone();
        let mut stop = std::pin::pin!(stop);
        let registered = persist("register", &database, |store| {
            store.register(&context, self.lease)
        });
        tokio::select! {
            () = registered => {}
            () = &mut stop => return Ok(()),
        }
        let (kept, worker, lease) = (database.clone(), context.clone(), self.lease);
        let _alive = steadily(move || keep_alive(kept.clone(), worker.clone(), lease));
        let (inbox, retention) = (self.inbox.clone(), self.retention);
        let _tidy = steadily(move || housekeeping(inbox.clone(), retention));

        let held = Held::default();
        let stopping = CancellationToken::new();
        let feed = Feed::new(
            database.clone(),
            self.inbox.wake.clone(),
            held.clone(),
            stopping.clone(),
            self.lease,
        );
        let name = context.name().to_owned();
        let attempts = Attempts::new(
            database.clone(),
            self.registry,
            self.rules,
            name.as_str().into(),
            held.clone(),
        );
        let stopped = stopping.clone().cancelled_owned();
        let worker = WorkerBuilder::new(context)
            .backend(feed)
            .layer(ConcurrencyLimitLayer::new(self.concurrency))
            .build(attempts);
        let mut running = Box::pin(worker.run_until(async move {
            stopped.await;
            Ok::<(), io::Error>(())
        }));
        tokio::select! {
            ended = &mut running => {
                // Neither the feed nor the attempts ever fail.
                let error = ended.err().map_or_else(|| "the worker ended".to_owned(), |error| error.to_string());
                telemetry::ended(&error);
                return Err(InboxError::because(InboxErrorKind::Closed, error));
            }
            () = stop => {}
        }
        telemetry::draining();
        stopping.cancel();
        let drained = time::timeout(self.drain, &mut running).await.is_ok();
        drop(running);
        // Nobody else may begin with an event while a handler that was cut off still runs.
        let _ = time::timeout(HAND_BACK, held.emptied()).await;
        let left = held.ids();
        let released = database.ask_within(HAND_BACK, |store| store.release(&name, &left));
        telemetry::drained(drained, released.await?, left.len());
        Ok(())
    }
}

impl fmt::Debug for InboxWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxWorker")
            .field("registry", &self.registry)
            .field("concurrency", &self.concurrency)
            .field("rules", &self.rules)
            .field("lease", &self.lease)
            .field("drain_timeout", &self.drain)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

fn demand(met: bool, setting: &'static str, demand: &'static str) -> Result<(), ConfigError> {
    if met {
        Ok(())
    } else {
        Err(ConfigError::Worker { setting, demand })
    }
}

/// Apart from the work: neither a busy worker nor one that drains may seem dead.
async fn keep_alive(database: Database, worker: WorkerContext, lease: Duration) {
    let third = lease / 3;
    loop {
        let alive = database.ask_within(third, |store| store.keep_alive(&worker, lease));
        match alive.await {
            Ok(()) => time::sleep(third).await,
            Err(error) => {
                telemetry::store_failed("keep alive", &error);
                time::sleep(third.min(PAUSE)).await;
            }
        }
    }
}

/// Does work in the background that does not end, and begins it again should it panic, as a recorder of logs or metrics may.
fn steadily<F>(work: impl Fn() -> F + Send + 'static) -> AbortOnDropHandle<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let _ = AbortOnDropHandle::new(tokio::spawn(work())).await;
            time::sleep(PAUSE).await;
        }
    }))
}

async fn housekeeping(inbox: Inbox, retention: Duration) {
    let mut prune_at = time::Instant::now();
    loop {
        match inbox.stats().await {
            Ok(stats) => telemetry::stats(&stats),
            Err(error) => telemetry::store_failed("count", &error),
        }
        if prune_at <= time::Instant::now() {
            prune_at += PRUNE_EVERY;
            match inbox.prune(retention).await {
                Ok(pruned) => telemetry::pruned(pruned),
                Err(error) => telemetry::store_failed("prune", &error),
            }
        }
        time::sleep(COUNT_EVERY).await;
    }
}

/// Tells the workers of this process that there is something to do.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    pub(crate) fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Completes at the next notification after this call.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.0.notified()
    }
}

/// The events that a worker knows to hold, and by how many attempts: one that has lost its event may not know it yet when
/// the same worker claims that again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(watch::Sender<HashMap<String, usize>>);

impl Held {
    /// Holds an event until what is returned, and all its clones, are gone.
    pub(crate) fn hold(&self, id: &str) -> Arc<Holding> {
        self.0.send_modify(|held| {
            *held.entry(id.to_owned()).or_default() += 1;
        });
        Arc::new(Holding {
            held: self.clone(),
            id: id.to_owned(),
        })
    }

    pub(crate) fn ids(&self) -> HashSet<String> {
        self.0.borrow().keys().cloned().collect()
    }

    async fn emptied(&self) {
        // It fails only if the sender is gone, which is here.
        let _ = self.0.subscribe().wait_for(HashMap::is_empty).await;
    }
}

/// Says that an attempt goes on. It may do so for a while after it was cut off.
#[derive(Debug)]
pub(crate) struct Holding {
    held: Held,
    id: String,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.0.send_modify(|held| {
            let holdings = held.get_mut(&self.id).map_or(0, |holdings| {
                *holdings -= 1;
                *holdings
            });
            if holdings == 0 {
                held.remove(&self.id);
            }
        });
    }
}

/// Before the database is asked again.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const SHORTEST_LEASE: Duration = Duration::from_secs(3);
const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);
const SHORTEST_RETENTION: Duration = Duration::from_secs(60 * 60);

const HAND_BACK: Duration = Duration::from_secs(5);
const COUNT_EVERY: Duration = Duration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
