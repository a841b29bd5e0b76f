//! Logs and metrics of the inbox. A panic of a subscriber or recorder does not reach the inbox.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use metrics::{counter, gauge, histogram};
use tracing::{Span, error, field::Empty, info, warn};

use crate::{
    entry::{Commit, InboxStats},
    error::{Chain, InboxError},
    metrics::{ATTEMPTS, COMMIT_SECONDS, COMMITS, EVENTS, OLDEST_WAITING_SECONDS},
    store::End,
};
use tower_pyannote::{Kind, WebhookEvent};

/// Counts a commit, and its time.
pub(crate) fn committed(commit: &Result<Commit, InboxError>, elapsed: Duration) {
    guarded(|| {
        let outcome = outcome(commit);
        counter!(COMMITS, "outcome" => outcome).increment(1);
        histogram!(COMMIT_SECONDS).record(elapsed);
    });
}

/// Returns the name of a commit's outcome in metrics and traces.
pub(crate) fn outcome(commit: &Result<Commit, InboxError>) -> &'static str {
    commit.as_ref().map_or("failed", |commit| commit.as_str())
}

/// Logs a commit that was not new, or failed.
pub(crate) fn answered(event: &WebhookEvent, commit: &Result<Commit, InboxError>) {
    guarded(|| {
        let (job_id, status) = (event.job_id(), event.status().as_str());
        match commit {
            Ok(Commit::New) => {}
            Ok(Commit::Duplicate) => info!(job_id, status, "duplicate of a committed event"),
            Ok(Commit::Conflict) => warn!(
                job_id,
                status,
                "conflict: the committed event has another body; this one is kept beside it"
            ),
            Err(error) => {
                error!(job_id, status, error = %Chain(error), "event not committed, answered 503");
            }
        }
    });
}

/// Logs a job whose event never arrived.
pub(crate) fn never_came(job_id: &str) {
    guarded(|| {
        error!(
            job_id,
            "event lost: the job was submitted over a week ago, and its event never arrived"
        );
    });
}

/// Logs a request without an event.
pub(crate) fn no_event() {
    guarded(|| {
        error!("no verified event in the request: put PyannoteSignatureLayer outside the inbox");
    });
}

/// Logs a failure of the database, which is retried.
pub(crate) fn store_failed(what: &'static str, error: &InboxError) {
    guarded(|| {
        error!(what, error = %Chain(error), "the inbox's database failed; the worker tries again");
    });
}

/// Counts and logs the end of an attempt.
pub(crate) fn finished(id: i64, event: Option<&WebhookEvent>, end: &End) {
    guarded(|| {
        let outcome = end.as_str();
        counter!(ATTEMPTS, "outcome" => outcome).increment(1);
        let job_id = event.map(WebhookEvent::job_id);
        let attempt = event.map(WebhookEvent::attempt);
        match end {
            End::Handled => info!(id, job_id, attempt, "event handled"),
            End::Retry { error, .. } => {
                warn!(
                    id,
                    job_id, attempt, error, "attempt failed; the event will be retried"
                );
            }
            End::Exhausted => error!(
                id,
                "event is dead: retries exhausted, and the last attempt did not end; replay it to try again"
            ),
            End::Dead { error } => {
                error!(
                    id,
                    job_id, attempt, error, "event is dead; replay it to try again"
                );
            }
        }
    });
}

/// Counts and logs an event that another worker has taken.
pub(crate) fn lost(id: i64) {
    guarded(|| {
        counter!(ATTEMPTS, "outcome" => "lost").increment(1);
        warn!(
            id,
            "another worker took the event, because this one did not renew its lease in time"
        );
    });
}

/// Logs a replay.
pub(crate) fn replayed(id: &str) {
    guarded(|| info!(id, "event replayed"));
}

/// Logs that an operator marked an event as handled.
pub(crate) fn marked_handled(id: &str, reason: &str) {
    guarded(|| info!(id, reason, "event marked as handled"));
}

/// Sets the gauges.
pub(crate) fn stats(stats: &InboxStats) {
    guarded(|| {
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
    });
}

/// Logs removed events.
pub(crate) fn pruned(events: u64) {
    if events > 0 {
        guarded(|| info!(events, "handled events removed"));
    }
}

pub(crate) fn draining() {
    guarded(|| info!("worker stops: it claims no more events"));
}

/// Logs how a worker stopped.
pub(crate) fn drained(in_time: bool, released: u64, left: usize) {
    guarded(|| {
        if in_time {
            info!("worker stopped");
        } else {
            warn!(
                released,
                left,
                "worker stopped: handlers were cut off, and their events handed back or left to the lease"
            );
        }
    });
}

/// Returns the span of an attempt.
pub(crate) fn attempt_span(event: &WebhookEvent) -> Span {
    tracing::info_span!(
        "pyannote_event",
        job_id = event.job_id(),
        status = event.status().as_str(),
        kind = event.kind().map(Kind::as_str),
        attempt = event.attempt(),
        reference = event.reference(),
        trace_id = Empty,
        span_id = Empty,
        outcome = Empty,
        otel.status_code = Empty,
    )
}

/// Returns the span of a handler in an attempt.
///
/// Its level is `TRACE`, so that log lines at the usual levels show only the span of the attempt.
pub(crate) fn handler_span(event: &WebhookEvent, handler: &str) -> Span {
    tracing::trace_span!(
        "pyannote_handler",
        handler,
        job_id = event.job_id(),
        status = event.status().as_str(),
        kind = event.kind().map(Kind::as_str),
        attempt = event.attempt(),
        trace_id = Empty,
        span_id = Empty,
        outcome = Empty,
        otel.status_code = Empty,
    )
}

/// Returns the span in which the reconciler commits an event.
#[cfg(feature = "reconcile")]
pub(crate) fn fetched_span(event: &WebhookEvent) -> Span {
    tracing::trace_span!(
        "pyannote_fetched",
        job_id = event.job_id(),
        status = event.status().as_str(),
        kind = event.kind().map(Kind::as_str),
        trace_id = Empty,
        span_id = Empty,
        outcome = Empty,
        otel.status_code = Empty,
    )
}

/// Runs code of a subscriber, a recorder or a handler's error, and catches its panic.
pub(crate) fn guarded(code: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(code)) {
        // A payload of the user's own type might panic when dropped.
        std::mem::forget(panic);
    }
}

/// Converts a count for a gauge.
#[expect(
    clippy::as_conversions,
    reason = "a count is far below the 2^53 that a float holds exactly"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
