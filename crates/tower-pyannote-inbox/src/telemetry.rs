//! What the inbox tells of its work. A recorder that panics does it no harm. Each of the two modules has a twin that does
//! nothing, for when its feature is off.

use std::{future::Future, time::Duration};

use super::{Commit, InboxError, InboxStats, store::End};
use crate::handler;
use tower_pyannote::WebhookEvent;

/// Tells of a try to commit an event, and of its time.
pub(crate) fn committed(commit: &Result<Commit, InboxError>, elapsed: Duration) {
    handler::told(|| {
        count::committed(
            commit.as_ref().map_or("failed", |commit| commit.as_str()),
            elapsed,
        );
    });
}

/// Tells of what an event was to the inbox.
pub(crate) fn answered(event: &WebhookEvent, commit: &Result<Commit, InboxError>) {
    handler::told(|| match commit {
        Ok(Commit::New) => {}
        Ok(Commit::Duplicate) => log::duplicate(event),
        Ok(Commit::Conflict) => log::conflict(event),
        Err(error) => log::not_committed(event, error),
    });
}

/// Tells of a job that is forgotten, though its end was never heard of.
pub(crate) fn never_came(job_id: &str) {
    handler::told(|| {
        log::never_came(job_id);
    });
}

/// Tells of a request that reached the inbox without an event.
pub(crate) fn no_event() {
    handler::told(|| {
        log::no_event();
    });
}

/// Tells that the database could not do a part of the work, which will be tried again.
pub(crate) fn store_failed(what: &'static str, error: &InboxError) {
    handler::told(|| {
        log::store_failed(what, error);
    });
}

/// Tells how an attempt to handle an event ended.
pub(crate) fn finished(id: &str, event: Option<&WebhookEvent>, end: &End) {
    handler::told(|| {
        count::attempt(match end {
            End::Handled => "handled",
            End::Retry { .. } => "retried",
            End::Dead { .. } | End::Exhausted => "dead",
        });
        log::finished(id, event, end);
    });
}

/// Tells of an event that is another worker's by now.
pub(crate) fn lost(id: &str) {
    handler::told(|| {
        count::attempt("lost");
        log::lost(id);
    });
}

/// Tells of an event that is due again because someone asked for it.
pub(crate) fn replayed(id: &str) {
    handler::told(|| {
        log::replayed(id);
    });
}

/// Tells how much there is.
pub(crate) fn stats(stats: &InboxStats) {
    handler::told(|| {
        count::stats(stats);
    });
}

/// Tells of events that were removed, as their time was over.
pub(crate) fn pruned(events: u64) {
    handler::told(|| {
        log::pruned(events);
    });
}

pub(crate) fn draining() {
    handler::told(|| {
        log::draining();
    });
}

/// Tells how a worker came to rest.
pub(crate) fn drained(in_time: bool, released: u64, left: usize) {
    handler::told(|| {
        log::drained(in_time, released, left);
    });
}

/// Tells of a worker that ended though nobody stopped it.
pub(crate) fn ended(error: &str) {
    handler::told(|| {
        log::ended(error);
    });
}

/// Runs the handlers of an event in a span of their own.
pub(crate) fn in_span<F: Future>(event: &WebhookEvent, work: F) -> impl Future<Output = F::Output> {
    log::in_span(event, work)
}

#[cfg(feature = "metrics")]
mod count {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use crate::InboxStats;

    pub(crate) fn committed(outcome: &'static str, elapsed: Duration) {
        counter!("pyannote_inbox_commits_total", "outcome" => outcome).increment(1);
        histogram!("pyannote_inbox_commit_seconds").record(elapsed);
    }

    pub(crate) fn attempt(outcome: &'static str) {
        counter!("pyannote_inbox_attempts_total", "outcome" => outcome).increment(1);
    }

    pub(crate) fn stats(stats: &InboxStats) {
        for (state, events) in [
            ("waiting", stats.waiting),
            ("running", stats.running),
            ("handled", stats.handled),
            ("dead", stats.dead),
            ("unknown", stats.unknown),
        ] {
            gauge!("pyannote_inbox_events", "state" => state).set(float(events));
        }
        let oldest = stats.oldest_waiting.unwrap_or_default();
        gauge!("pyannote_inbox_oldest_waiting_seconds").set(oldest.as_secs_f64());
    }

    #[expect(
        clippy::as_conversions,
        reason = "a count is far below the 2^53 that a float holds exactly"
    )]
    fn float(events: u64) -> f64 {
        events as f64
    }
}

#[cfg(not(feature = "metrics"))]
mod count {
    use std::time::Duration;

    use crate::InboxStats;

    pub(crate) fn committed(_: &'static str, _: Duration) {}
    pub(crate) fn attempt(_: &'static str) {}
    pub(crate) fn stats(_: &InboxStats) {}
}

#[cfg(feature = "tracing")]
mod log {
    use std::{fmt, future::Future};

    use tracing::Instrument;

    use crate::{InboxError, error::write_sources, store::End};
    use tower_pyannote::{Kind, WebhookEvent};

    pub(crate) fn duplicate(event: &WebhookEvent) {
        tracing::info!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            "event is in the inbox already"
        );
    }

    pub(crate) fn conflict(event: &WebhookEvent) {
        tracing::warn!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            "an event with another body is in the inbox already; this one is kept aside"
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
            "a job's event is lost: it was submitted over a week ago, and never came"
        );
    }

    pub(crate) fn no_event() {
        tracing::error!(
            "no verified event in the request: put PyannoteSignatureLayer outside the inbox"
        );
    }

    pub(crate) fn store_failed(what: &'static str, error: &InboxError) {
        tracing::error!(what, error = %Chain(error), "the inbox's database failed, to be tried again");
    }

    pub(crate) fn finished(id: &str, event: Option<&WebhookEvent>, end: &End) {
        let job_id = event.map(WebhookEvent::job_id);
        let attempt = event.map(WebhookEvent::attempt);
        match end {
            End::Handled => tracing::info!(id, job_id, attempt, "event handled"),
            End::Retry { error, .. } => {
                tracing::warn!(id, job_id, attempt, error, "event to be tried again");
            }
            End::Exhausted => {
                tracing::error!(
                    id,
                    "event is dead, its attempts used up, the last of them without an end: it stays until it is replayed"
                );
            }
            End::Dead { error } => {
                tracing::error!(
                    id,
                    job_id,
                    attempt,
                    error,
                    "event is dead: it stays until it is replayed"
                );
            }
        }
    }

    pub(crate) fn lost(id: &str) {
        tracing::warn!(
            id,
            "event went to another worker, as this one was silent for too long"
        );
    }

    pub(crate) fn replayed(id: &str) {
        tracing::info!(id, "event to be handled again, as asked for");
    }

    pub(crate) fn pruned(events: u64) {
        if events > 0 {
            tracing::info!(events, "events pruned");
        }
    }

    pub(crate) fn draining() {
        tracing::info!("the inbox's worker takes no more events");
    }

    pub(crate) fn drained(in_time: bool, released: u64, left: usize) {
        if in_time {
            tracing::info!("the inbox's worker is done");
        } else {
            tracing::warn!(
                released,
                left,
                "handlers cut off, and their events handed back, or left to the lease"
            );
        }
    }

    pub(crate) fn ended(error: &str) {
        tracing::error!(error, "the inbox's worker ended");
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

    /// An error with its causes.
    struct Chain<'a>(&'a InboxError);

    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt(f)?;
            write_sources(self.0, f)
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod log {
    use std::future::Future;

    use crate::{InboxError, store::End};
    use tower_pyannote::WebhookEvent;

    pub(crate) fn duplicate(_: &WebhookEvent) {}
    pub(crate) fn conflict(_: &WebhookEvent) {}
    pub(crate) fn not_committed(_: &WebhookEvent, _: &InboxError) {}
    pub(crate) fn no_event() {}
    pub(crate) fn never_came(_: &str) {}
    pub(crate) fn store_failed(_: &'static str, _: &InboxError) {}
    pub(crate) fn finished(_: &str, _: Option<&WebhookEvent>, _: &End) {}
    pub(crate) fn lost(_: &str) {}
    pub(crate) fn replayed(_: &str) {}
    pub(crate) fn pruned(_: u64) {}
    pub(crate) fn draining() {}
    pub(crate) fn drained(_: bool, _: u64, _: usize) {}
    pub(crate) fn ended(_: &str) {}

    pub(crate) fn in_span<F: Future>(_: &WebhookEvent, work: F) -> impl Future<Output = F::Output> {
        work
    }
}
