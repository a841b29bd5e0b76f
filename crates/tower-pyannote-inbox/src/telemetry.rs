//! Logs and metrics of the inbox. A panic of a subscriber or recorder does not reach the inbox.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use crate::{
    entry::{Commit, InboxStats},
    error::InboxError,
    store::End,
};
use tower_pyannote::WebhookEvent;

/// Counts a commit, and its time.
pub(crate) fn committed(commit: &Result<Commit, InboxError>, elapsed: Duration) {
    guarded(|| {
        count::committed(
            commit.as_ref().map_or("failed", |commit| commit.as_str()),
            elapsed,
        );
    });
}

/// Logs a commit that was not new, or failed.
pub(crate) fn answered(event: &WebhookEvent, commit: &Result<Commit, InboxError>) {
    guarded(|| match commit {
        Ok(Commit::New) => {}
        Ok(Commit::Duplicate) => log::duplicate(event),
        Ok(Commit::Conflict) => log::conflict(event),
        Err(error) => log::not_committed(event, error),
    });
}

/// Logs a job whose event never arrived.
pub(crate) fn never_came(job_id: &str) {
    guarded(|| {
        log::never_came(job_id);
    });
}

/// Logs a request without an event.
pub(crate) fn no_event() {
    guarded(|| {
        log::no_event();
    });
}

/// Logs a failure of the database, which is retried.
pub(crate) fn store_failed(what: &'static str, error: &InboxError) {
    guarded(|| {
        log::store_failed(what, error);
    });
}

/// Counts and logs the end of an attempt.
pub(crate) fn finished(id: i64, event: Option<&WebhookEvent>, end: &End) {
    guarded(|| {
        count::attempt(match end {
            End::Handled => "handled",
            End::Retry { .. } => "retried",
            End::Dead { .. } | End::Exhausted => "dead",
        });
        log::finished(id, event, end);
    });
}

/// Counts and logs an event that another worker has taken.
pub(crate) fn lost(id: i64) {
    guarded(|| {
        count::attempt("lost");
        log::lost(id);
    });
}

/// Logs a replay.
pub(crate) fn replayed(id: &str) {
    guarded(|| {
        log::replayed(id);
    });
}

/// Sets the gauges.
pub(crate) fn stats(stats: &InboxStats) {
    guarded(|| {
        count::stats(stats);
    });
}

/// Logs removed events.
pub(crate) fn pruned(events: u64) {
    guarded(|| {
        log::pruned(events);
    });
}

pub(crate) fn draining() {
    guarded(|| {
        log::draining();
    });
}

/// Logs how a worker stopped.
pub(crate) fn drained(in_time: bool, released: u64, left: usize) {
    guarded(|| {
        log::drained(in_time, released, left);
    });
}

/// Runs the handlers of an event in a span of their own.
pub(crate) fn in_span<F: Future>(event: &WebhookEvent, work: F) -> impl Future<Output = F::Output> {
    log::in_span(event, work)
}

/// Runs code of a subscriber, a recorder or a handler's error, and catches its panic.
pub(crate) fn guarded(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        // A payload of the user's own type might panic when dropped.
        std::mem::forget(panic);
    }
}

mod count {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use crate::{
        entry::InboxStats,
        metrics::{ATTEMPTS, COMMIT_SECONDS, COMMITS, EVENTS, OLDEST_WAITING_SECONDS},
    };

    pub(crate) fn committed(outcome: &'static str, elapsed: Duration) {
        counter!(COMMITS, "outcome" => outcome).increment(1);
        histogram!(COMMIT_SECONDS).record(elapsed);
    }

    pub(crate) fn attempt(outcome: &'static str) {
        counter!(ATTEMPTS, "outcome" => outcome).increment(1);
    }

    pub(crate) fn stats(stats: &InboxStats) {
        for (state, events) in [
            ("waiting", stats.waiting),
            ("running", stats.running),
            ("handled", stats.handled),
            ("dead", stats.dead),
            ("unknown", stats.unknown),
        ] {
            gauge!(EVENTS, "state" => state).set(float(events));
        }
        let oldest = stats.oldest_waiting.unwrap_or_default();
        gauge!(OLDEST_WAITING_SECONDS).set(oldest.as_secs_f64());
    }

    #[expect(
        clippy::as_conversions,
        reason = "a count is far below the 2^53 that a float holds exactly"
    )]
    fn float(events: u64) -> f64 {
        events as f64
    }
}

mod log {
    use std::future::Future;

    use tracing::Instrument;

    use crate::{
        error::{Chain, InboxError},
        store::End,
    };
    use tower_pyannote::{Kind, WebhookEvent};

    pub(crate) fn duplicate(event: &WebhookEvent) {
        tracing::info!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            "duplicate of a committed event"
        );
    }

    pub(crate) fn conflict(event: &WebhookEvent) {
        tracing::warn!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            "conflict: the committed event has another body; this one is kept beside it"
        );
    }

    pub(crate) fn not_committed(event: &WebhookEvent, error: &InboxError) {
        tracing::error!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            error = %Chain(error),
            "event not committed, answered 503"
        );
    }

    pub(crate) fn never_came(job_id: &str) {
        tracing::error!(
            job_id,
            "event lost: the job was submitted over a week ago, and its event never arrived"
        );
    }

    pub(crate) fn no_event() {
        tracing::error!(
            "no verified event in the request: put PyannoteSignatureLayer outside the inbox"
        );
    }

    pub(crate) fn store_failed(what: &'static str, error: &InboxError) {
        tracing::error!(what, error = %Chain(error), "the inbox's database failed; the worker tries again");
    }

    pub(crate) fn finished(id: i64, event: Option<&WebhookEvent>, end: &End) {
        let job_id = event.map(WebhookEvent::job_id);
        let attempt = event.map(WebhookEvent::attempt);
        match end {
            End::Handled => tracing::info!(id, job_id, attempt, "event handled"),
            End::Retry { error, .. } => {
                tracing::warn!(
                    id,
                    job_id,
                    attempt,
                    error,
                    "attempt failed; the event will be retried"
                );
            }
            End::Exhausted => {
                tracing::error!(
                    id,
                    "event is dead: retries exhausted, and the last attempt did not end; replay it to try again"
                );
            }
            End::Dead { error } => {
                tracing::error!(
                    id,
                    job_id,
                    attempt,
                    error,
                    "event is dead; replay it to try again"
                );
            }
        }
    }

    pub(crate) fn lost(id: i64) {
        tracing::warn!(
            id,
            "another worker took the event, because this one did not renew its lease in time"
        );
    }

    pub(crate) fn replayed(id: &str) {
        tracing::info!(id, "event replayed");
    }

    pub(crate) fn pruned(events: u64) {
        if events > 0 {
            tracing::info!(events, "handled events removed");
        }
    }

    pub(crate) fn draining() {
        tracing::info!("worker stops: it claims no more events");
    }

    pub(crate) fn drained(in_time: bool, released: u64, left: usize) {
        if in_time {
            tracing::info!("worker stopped");
        } else {
            tracing::warn!(
                released,
                left,
                "worker stopped: handlers were cut off, and their events handed back or left to the lease"
            );
        }
    }

    pub(crate) fn in_span<F: Future>(
        event: &WebhookEvent,
        work: F,
    ) -> impl Future<Output = F::Output> {
        let span = tracing::info_span!(
            "pyannote_event",
            job_id = event.job_id(),
            status = event.status().as_str(),
            kind = event.kind().map(Kind::as_str),
            attempt = event.attempt(),
        );
        work.instrument(span)
    }
}
