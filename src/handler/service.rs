use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tower_service::Service;

use super::{
    dispatch::{BoxFuture, Dispatch},
    guard::{guarded, told},
    registry::Entry,
    telemetry,
};
use crate::{
    HandlerError, HandlerRegistry, WebhookEvent,
    handler::{HandlerReport, HandlerRun, HandlersFailed},
};

impl HandlerRegistry {
    /// Runs the handlers of an event and says how each ended.
    ///
    /// Unlike the service it leaves it to the caller what to make of a failure.
    pub async fn handle(&self, event: WebhookEvent) -> HandlerReport {
        let mut handling = self.begin(event, |_| false).await;
        let mut runs = Vec::new();
        while let Some(next) = handling.next() {
            runs.push(next.run().await);
        }
        let report = HandlerReport::new(runs);
        if report.is_success() {
            telemetry::event_succeeded(&handling.dispatch.event);
        }
        report
    }

    /// Begins to run the handlers of an event, for a queue that records how each handler ended.
    ///
    /// `skip` names the handlers to leave out, such as those that succeeded in an earlier attempt. The output is typed
    /// first if a handler that remains needs it.
    pub async fn begin(&self, event: WebhookEvent, skip: impl Fn(&str) -> bool) -> EventRun<'_> {
        let entries = self.entries().filter(|entry| !skip(&entry.name));
        let entries: VecDeque<&Entry> = entries.collect();
        let needs_output = entries.iter().any(|entry| entry.task.needs_output());
        EventRun {
            registry: self,
            dispatch: Dispatch::new(event, needs_output).await,
            entries,
        }
    }
}

/// An event on its way through the handlers; [`HandlerRegistry::begin`] makes it.
///
/// # Example: run handlers one by one
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
/// let mut events = registry.begin(event, |name| name == "first").await;
/// let run = events.next().expect("one handler is left").run().await;
/// assert_eq!(&*run.name, "second");
/// assert!(run.outcome.is_retryable());
/// assert!(events.next().is_none());
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct EventRun<'a> {
    registry: &'a HandlerRegistry,
    dispatch: Dispatch,
    entries: VecDeque<&'a Entry>,
}

impl fmt::Debug for EventRun<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventRun")
            .field("event", &self.dispatch.event)
            .field("handlers_left", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl EventRun<'_> {
    /// Returns the next handler that the event is meant for; `None` if none is left.
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
                    limit: self.registry.timeout_of(entry),
                    event: &self.dispatch.event,
                });
            }
        }
    }

    /// Counts the event as handled: every handler, of this attempt or of an earlier one, succeeded.
    pub fn succeeded(self) {
        telemetry::event_succeeded(&self.dispatch.event);
    }
}

/// A handler that has not begun.
#[must_use]
pub struct PendingHandler<'a> {
    entry: &'a Entry,
    work: BoxFuture<'a, Result<(), HandlerError>>,
    limit: Duration,
    event: &'a WebhookEvent,
}

impl fmt::Debug for PendingHandler<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingHandler")
            .field("name", &self.entry.name)
            .field("timeout", &self.limit)
            .finish_non_exhaustive()
    }
}

impl PendingHandler<'_> {
    /// Runs the handler within its timeout; a panic is caught.
    pub async fn run(self) -> HandlerRun {
        let started = Instant::now();
        let outcome = guarded(self.work, self.limit).await;
        let run = HandlerRun {
            name: self.entry.name.clone(),
            outcome,
            elapsed: started.elapsed(),
        };
        told(|| telemetry::handler_ran(self.event, &run));
        run
    }
}

impl Service<WebhookEvent> for HandlerRegistry {
    type Response = HandlerReport;
    type Error = HandlersFailed;
    type Future = HandlerFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HandlersFailed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, event: WebhookEvent) -> HandlerFuture {
        let registry = self.clone();
        HandlerFuture {
            inner: Box::pin(async move {
                let report = registry.handle(event).await;
                if report.is_retryable() {
                    Err(HandlersFailed::new(report))
                } else {
                    Ok(report)
                }
            }),
        }
    }
}

/// The future of [`HandlerRegistry`] as a service.
#[must_use = "futures do nothing unless polled"]
pub struct HandlerFuture {
    inner: BoxFuture<'static, Result<HandlerReport, HandlersFailed>>,
}

impl Future for HandlerFuture {
    type Output = Result<HandlerReport, HandlersFailed>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx)
    }
}

impl fmt::Debug for HandlerFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerFuture").finish_non_exhaustive()
    }
}
