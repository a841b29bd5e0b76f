use std::fmt;

use crate::{WebhookEvent, handler::HandlerRun};

/// Tells of one handler's run.
pub(super) fn handler_ran(event: &WebhookEvent, run: &HandlerRun) {
    count::handler_ran(run);
    if !run.outcome.is_success() {
        log::handler_failed(event, run);
    }
}

/// Tells of an event that all of its handlers have seen, and with success.
pub(super) fn event_succeeded(event: &WebhookEvent) {
    count::event_succeeded(event);
}

/// Tells of a request that reached the handlers without an event.
pub(super) fn no_event() {
    log::no_event();
}

/// Tells of an inner service that cannot take events.
pub(super) fn not_ready(error: &dyn fmt::Display) {
    log::not_ready(error);
}

/// Tells of an event that was answered by an error.
pub(super) fn not_handled(error: &dyn fmt::Display) {
    log::not_handled(error);
}

#[cfg(feature = "metrics")]
mod count {
    use crate::{Kind, WebhookEvent, handler::HandlerRun};

    pub(super) fn handler_ran(run: &HandlerRun) {
        metrics::histogram!(SECONDS, "handler" => run.name.clone()).record(run.elapsed);
        if !run.outcome.is_success() {
            let outcome = run.outcome.as_str();
            metrics::counter!(FAILURES, "handler" => run.name.clone(), "outcome" => outcome)
                .increment(1);
        }
    }

    pub(super) fn event_succeeded(event: &WebhookEvent) {
        let kind = event.kind().map_or("none", Kind::as_str);
        metrics::counter!(SUCCESSES, "kind" => kind).increment(1);
    }

    const SUCCESSES: &str = "pyannote_webhook_successful_events_total";
    const FAILURES: &str = "pyannote_webhook_handler_failures_total";
    const SECONDS: &str = "pyannote_webhook_handler_seconds";
}

#[cfg(not(feature = "metrics"))]
mod count {
    use crate::{WebhookEvent, handler::HandlerRun};

    pub(super) fn handler_ran(_: &HandlerRun) {}
    pub(super) fn event_succeeded(_: &WebhookEvent) {}
}

#[cfg(feature = "tracing")]
mod log {
    use std::fmt;

    use crate::{WebhookEvent, handler::HandlerRun};

    pub(super) fn handler_failed(event: &WebhookEvent, run: &HandlerRun) {
        // Written out first: a handler's own Display may panic, and would leave half a line in the log.
        let error = format!("{:#}", run.outcome);
        tracing::warn!(
            handler = &*run.name,
            job_id = event.job_id(),
            status = event.status().as_str(),
            outcome = run.outcome.as_str(),
            %error,
            "handler failed"
        );
    }

    pub(super) fn no_event() {
        tracing::error!(
            "no verified event in the request: put PyannoteSignatureLayer outside the handlers"
        );
    }

    pub(super) fn not_ready(error: &dyn fmt::Display) {
        tracing::error!(%error, "handlers cannot take events");
    }

    pub(super) fn not_handled(error: &dyn fmt::Display) {
        tracing::warn!(%error, "event not handled, answered 500");
    }
}

#[cfg(not(feature = "tracing"))]
mod log {
    use std::fmt;

    use crate::{WebhookEvent, handler::HandlerRun};

    pub(super) fn handler_failed(_: &WebhookEvent, _: &HandlerRun) {}
    pub(super) fn no_event() {}
    pub(super) fn not_ready(_: &dyn fmt::Display) {}
    pub(super) fn not_handled(_: &dyn fmt::Display) {}
}
