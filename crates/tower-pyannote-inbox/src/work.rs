use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tracing::Instrument;

use tokio::time;

use crate::{
    backoff::{Backoff, LONGEST_BACKOFF},
    database::Database,
    error::InboxError,
    group::Group,
    held::{Holding, PAUSE},
    read::{event, read},
    record::storable_error,
    room::Room,
    store::{Claim, Claimed, ClaimedRow, End, Outcome, Settled},
    telemetry,
    trace::Traces,
};
use tower_pyannote::{HandlerRegistry, WebhookEvent, handler::HandlerRun};

/// When an event is retried, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) max_attempts: u32,
    pub(crate) backoff: Backoff,
}

/// Runs the handlers over claimed events.
#[derive(Debug)]
pub(crate) struct Attempts {
    pub(crate) database: Database,
    pub(crate) registry: HandlerRegistry,
    pub(crate) rules: Rules,
    pub(crate) group: Group,
    pub(crate) room: Room,
    pub(crate) traces: Traces,
}

impl Attempts {
    /// Handles a claimed event.
    ///
    /// The worker holds the event until then.
    pub(crate) async fn run(self: Arc<Self>, claimed: Claimed, _holding: Holding) {
        let claim = claimed.claim.clone();
        let attempts = claimed.row.as_ref().map_or(0, |row| row.attempts);
        // A recorder of logs or metrics can cause a panic.
        if is_done(self.attempt(claimed)).await {
            return;
        }
        // No other worker takes the event while this one lives.
        loop {
            let error = "the worker panicked, outside of any handler".to_owned();
            let end = self.failed(attempts.saturating_add(1), error, None);
            if is_done(self.finish(claim.clone(), None, end, None, true)).await {
                return;
            }
            time::sleep(PAUSE).await;
        }
    }

    async fn attempt(&self, claimed: Claimed) {
        let Claimed {
            claim,
            row,
            settled,
        } = claimed;
        let has_results = !settled.is_empty();
        let end = |end| self.finish(claim.clone(), None, end, None, has_results);
        let ClaimedRow {
            attempts,
            body_bytes,
            stored,
        } = match row {
            Ok(row) => row,
            Err(error) => {
                let error = format!(
                    "the event could not be read: {}",
                    crate::error::Chain(&error)
                );
                return end(End::Dead { error }).await;
            }
        };
        let number = attempts.saturating_add(1);
        if number > self.rules.max_attempts {
            return end(End::Exhausted).await;
        }
        // Holds the memory until the attempt has dropped the event.
        let _room = self.room.take(body_bytes).await;
        let stored = match stored {
            Some(stored) => stored,
            None => match read(&self.database, claim.id).await {
                Ok(Some(stored)) => stored,
                Ok(None) => {
                    let error = "the event could not be read: its body is missing".to_owned();
                    return end(End::Dead { error }).await;
                }
                Err(error) => {
                    let error = format!("the event could not be read: {error}");
                    return end(self.failed(number, error, None)).await;
                }
            },
        };
        let origin = stored.origin();
        let event = match event(stored, number).await {
            Ok(event) => event,
            Err(error) => {
                let error = format!("the stored body is not an event: {error}");
                return end(End::Dead { error }).await;
            }
        };
        let span = telemetry::attempt_span(&event);
        self.traces.attempt(&span, number, origin);
        let handled = self.handle(&claim, event.clone(), settled, number);
        let Handled {
            end,
            last,
            has_results,
        } = handled.instrument(span.clone()).await;
        self.traces.end(&span, end.as_str(), end == End::Handled);
        drop(span);
        self.finish(claim, Some(&event), end, last, has_results)
            .await;
    }

    /// Runs the handlers that have not finished with the event.
    async fn handle(
        &self,
        claim: &Claim,
        event: WebhookEvent,
        settled: Vec<Settled>,
        number: u32,
    ) -> Handled {
        let mut has_results = !settled.is_empty();
        let mut given_up = settled.iter().find_map(|settled| settled.error.clone());
        let names: HashSet<String> = settled.into_iter().map(|settled| settled.handler).collect();
        let mut failure = None;
        let mut delay = None;
        // A result is written before the next handler begins. The last one is written with the end of the attempt.
        let mut unwritten: Option<Settled> = None;

        let mut handling = self
            .registry
            .begin(event.clone(), |name| names.contains(name))
            .await;
        while let Some(next) = handling.next() {
            if let Some(settled) = unwritten.take() {
                has_results = true;
                self.write(Outcome {
                    claim: claim.clone(),
                    settled: Some(settled),
                    end: None,
                    has_results,
                })
                .await;
            }
            let span = telemetry::handler_span(&event, next.name());
            self.traces.begin(&span);
            let run = next.run().instrument(span.clone()).await;
            let outcome = &run.outcome;
            self.traces
                .end(&span, outcome.as_str(), outcome.is_success());
            drop(span);
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
        let end = match (failure, given_up) {
            (None, None) => {
                handling.succeeded();
                End::Handled
            }
            (Some(error), _) => self.failed(number, error, delay),
            (None, Some(error)) => End::Dead { error },
        };
        Handled {
            last: unwritten.filter(|_| end != End::Handled),
            end,
            has_results,
        }
    }

    /// Returns the end of a failed attempt. The retry is due after `delay`, if a handler asked for one, else after the backoff.
    fn failed(&self, number: u32, error: String, delay: Option<Duration>) -> End {
        if number < self.rules.max_attempts {
            let delay = match delay {
                Some(delay) => delay.min(LONGEST_BACKOFF),
                None => self.rules.backoff.after(number),
            };
            End::Retry { delay, error }
        } else {
            End::Dead { error }
        }
    }

    async fn finish(
        &self,
        claim: Claim,
        event: Option<&WebhookEvent>,
        end: End,
        settled: Option<Settled>,
        has_results: bool,
    ) {
        let outcome = Outcome {
            claim,
            settled,
            end: Some(end),
            has_results,
        };
        let is_written = self.write(outcome.clone()).await;
        match outcome.end {
            Some(end) if is_written => telemetry::finished(outcome.claim.id, event, &end),
            _ => telemetry::lost(outcome.claim.id),
        }
    }

    /// Writes until that succeeds: while this worker lives, its lease is renewed, and nobody else takes the event.
    async fn write(&self, outcome: Outcome) -> bool {
        persist("write a result", &self.database, || {
            self.group.write(outcome.clone())
        })
        .await
    }
}

struct Handled {
    end: End,
    last: Option<Settled>,
    has_results: bool,
}

/// Tries until it succeeds, with a pause after each failure.
pub(crate) async fn persist<T, F>(
    what: &'static str,
    database: &Database,
    work: impl Fn() -> F,
) -> T
where
    F: Future<Output = Result<T, InboxError>>,
{
    loop {
        let done = work().await;
        database.recent().results.note(&done);
        match done {
            Ok(done) => return done,
            Err(error) => {
                telemetry::store_failed(what, &error);
                time::sleep(PAUSE).await;
            }
        }
    }
}

/// Runs work, and returns `false` if it panicked.
async fn is_done(work: impl Future<Output = ()>) -> bool {
    let mut work = pin!(work);
    poll_fn(|context| {
        let mut polled = Poll::Ready(false);
        telemetry::guarded(|| polled = work.as_mut().poll(context).map(|()| true));
        polled
    })
    .await
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
