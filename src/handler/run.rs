use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use super::{
    dispatch::{BoxFuture, Dispatch},
    error::HandlerError,
    guard::{guarded, without_panic},
    registry::{Entry, HandlerRegistry},
    report::{HandlerReport, HandlerRun},
    telemetry,
};
use crate::event::webhook_event::WebhookEvent;

impl HandlerRegistry {
    /// Runs the handlers of an event, and returns a report with the outcome of each handler.
    ///
    /// The report also contains failures. The service returns them as an error.
    pub async fn handle(&self, event: WebhookEvent) -> HandlerReport {
        let mut run = self.begin(event, |_| false).await;
        let mut runs = Vec::new();
        while let Some(handler) = run.next() {
            runs.push(handler.run().await);
        }
        let report = HandlerReport::new(runs);
        if report.is_success() {
            run.succeeded();
        }
        report
    }

    /// Prepares the handlers of an event to run one by one, so that a queue can record the outcome of each.
    ///
    /// Skips each handler if `skip` returns true for its name, for example because it succeeded in an earlier attempt.
    /// Types the output if one of the remaining handlers needs it.
    pub async fn begin(
        &self,
        event: WebhookEvent,
        skip: impl Fn(&str) -> bool,
    ) -> PendingHandlers<'_> {
        let entries = self.entries().filter(|entry| !skip(&entry.name));
        let entries: VecDeque<&Entry> = entries.collect();
        let needs_output = entries.iter().any(|entry| entry.task.needs_output());
        PendingHandlers {
            registry: self,
            dispatch: Dispatch::new(event, needs_output).await,
            entries,
        }
    }
}

/// The handlers of an event that have not run yet. [`HandlerRegistry::begin`] returns them.
///
/// # Example: handlers one by one
///
/// ```
/// use std::time::SystemTime;
/// use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = HandlerRegistry::new()
///     .on_any("first", async |_: WebhookEvent| Ok(()))?
///     .on_any("second", async |_: WebhookEvent| Err("not today".into()))?;
/// let body = r#"{"jobId":"a","status":"canceled"}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
///
/// let mut handlers = registry.begin(event, |name| name == "first").await;
/// let run = handlers.next().expect("one handler is left").run().await;
/// assert_eq!(&*run.name, "second");
/// assert!(run.outcome.is_retryable());
/// assert!(handlers.next().is_none());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct PendingHandlers<'a> {
    registry: &'a HandlerRegistry,
    dispatch: Dispatch,
    entries: VecDeque<&'a Entry>,
}

impl fmt::Debug for PendingHandlers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingHandlers")
            .field("event", &self.dispatch.event)
            .field("handlers_left", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl PendingHandlers<'_> {
    /// Returns the next handler for this event, or `None` if there are no more.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator cannot lend its items"
    )]
    pub fn next(&mut self) -> Option<PendingHandler<'_>> {
        loop {
            let entry = self.entries.pop_front()?;
            if let Some(work) = entry.task.run(&self.dispatch) {
                return Some(PendingHandler {
                    entry,
                    work,
                    timeout: self.registry.timeout_of(entry),
                    event: &self.dispatch.event,
                });
            }
        }
    }

    /// Counts the event as handled in the metrics. Call this method if every handler succeeded, in this attempt or in
    /// an earlier one.
    pub fn succeeded(self) {
        telemetry::event_succeeded(&self.dispatch.event);
    }
}

/// A handler that has not begun to run.
#[must_use]
pub struct PendingHandler<'a> {
    entry: &'a Entry,
    work: BoxFuture<'a, Result<(), HandlerError>>,
    timeout: Duration,
    event: &'a WebhookEvent,
}

impl fmt::Debug for PendingHandler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingHandler")
            .field("name", &self.entry.name)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl PendingHandler<'_> {
    /// Runs the handler within its timeout, and catches its panic.
    pub async fn run(self) -> HandlerRun {
        let started = Instant::now();
        let outcome = guarded(self.work, self.timeout).await;
        let run = HandlerRun {
            name: self.entry.name.clone(),
            outcome,
            elapsed: started.elapsed(),
        };
        without_panic(|| telemetry::handler_ran(self.event, &run));
        run
    }
}
