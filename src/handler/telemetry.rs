use std::fmt;

use crate::event::{Kind, Status, webhook_event::WebhookEvent};
use crate::handler::HandlerRun;
use crate::telemetry::{log_event, metric};

/// Records one handler's run, and logs a failure.
pub(super) fn handler_ran(event: &WebhookEvent, run: &HandlerRun) {
    let (handler, outcome) = (&run.name, run.outcome.as_str());
    metric!(
        histogram(crate::metrics::HANDLER_SECONDS, "handler" => handler.clone())
            .record(run.elapsed)
    );
    if run.outcome.is_success() {
        return;
    }
    metric!(
        counter(
            crate::metrics::HANDLER_FAILURES,
            "handler" => handler.clone(),
            "outcome" => outcome
        )
        .increment(1)
    );
    // Formatted before the line begins, because a handler's `Display` may panic and would leave half a line in the log.
    let error = || format!("{:#}", run.outcome);
    log_event!(
        WARN,
        handler = &**handler,
        job_id = event.job_id(),
        status = event.status().as_str(),
        outcome = outcome,
        error = format_args!("{}", error()),
        "handler failed"
    );
}

/// Counts an event for which all handlers succeeded, if its job succeeded too.
pub(super) fn event_succeeded(event: &WebhookEvent) {
    if *event.status() == Status::Succeeded {
        let kind = event.kind().map_or("none", Kind::as_str);
        metric!(counter(crate::metrics::SUCCESSFUL_EVENTS, "kind" => kind).increment(1));
    }
}

/// Logs a request that reached the handlers without an event.
pub(super) fn no_event() {
    log_event!(
        ERROR,
        "no verified event in the request: put PyannoteSignatureLayer outside the handlers"
    );
}

/// Logs that the inner service cannot accept events.
pub(super) fn not_ready(error: &dyn fmt::Display) {
    log_event!(
        ERROR,
        error = format_args!("{error}"),
        "handlers cannot take events"
    );
}

/// Logs an event that was answered with 500.
pub(super) fn not_handled(error: &dyn fmt::Display) {
    log_event!(
        WARN,
        error = format_args!("{error}"),
        "event not handled, answered 500"
    );
}
