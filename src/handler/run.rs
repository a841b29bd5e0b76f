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
    report::{HandlerOutcome, HandlerReport, HandlerRun},
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
    /// If handlers are left, prepares the event first. If the preparation fails, its failure is all that is left to run.
    ///
    /// Types the output if one of the remaining handlers needs it.
    pub async fn begin(
        &self,
        event: WebhookEvent,
        skip: impl Fn(&str) -> bool,
    ) -> PendingHandlers<'_> {
        let entries = self.entries().filter(|entry| !skip(&entry.name));
        let mut entries: VecDeque<&Entry> = entries.collect();
        let mut failure = None;
        let event = match self.preparation() {
            Some(preparation) if !entries.is_empty() => {
                preparation.run(event.clone()).await.unwrap_or_else(|run| {
                    entries.clear();
                    failure = Some(run);
                    event
                })
            }
            _ => event,
        };
        let needs_output = entries.iter().any(|entry| entry.task.needs_output());
        PendingHandlers {
            registry: self,
            dispatch: Dispatch::new(event, needs_output).await,
            entries,
            failure,
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
    /// The failure of the preparation.
    failure: Option<HandlerRun>,
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
        let event = &self.dispatch.event;
        if let Some(failure) = self.failure.take() {
            let work = Work::Ended(failure);
            return Some(PendingHandler { work, event });
        }
        loop {
            let entry = self.entries.pop_front()?;
            if let Some(work) = entry.task.run(&self.dispatch) {
                let timeout = self.registry.timeout_of(entry);
                let work = Work::Ready(entry, work, timeout);
                return Some(PendingHandler { work, event });
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
    work: Work<'a>,
    event: &'a WebhookEvent,
}

enum Work<'a> {
    Ready(&'a Entry, BoxFuture<'a, Result<(), HandlerError>>, Duration),
    /// The preparation, which failed before.
    Ended(HandlerRun),
}

impl fmt::Debug for PendingHandler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("PendingHandler");
        match &self.work {
            Work::Ready(entry, _, timeout) => {
                debug.field("name", &entry.name).field("timeout", timeout)
            }
            Work::Ended(run) => debug.field("name", &run.name),
        };
        debug.finish_non_exhaustive()
    }
}

impl PendingHandler<'_> {
    /// Returns the name of the handler.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.work {
            Work::Ready(entry, ..) => &entry.name,
            Work::Ended(run) => &run.name,
        }
    }

    /// Runs the handler within its timeout, and catches its panic.
    pub async fn run(self) -> HandlerRun {
        let run = match self.work {
            Work::Ready(entry, work, timeout) => {
                let started = Instant::now();
                let ended = guarded(work, timeout).await;
                HandlerRun {
                    name: entry.name.clone(),
                    outcome: ended.map_or_else(|failed| failed, |()| HandlerOutcome::Succeeded),
                    elapsed: started.elapsed(),
                }
            }
            Work::Ended(run) => run,
        };
        without_panic(|| telemetry::handler_ran(self.event, &run));
        run
    }
}
