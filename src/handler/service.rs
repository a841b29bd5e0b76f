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
    HandlerError, HandlerRegistry, HandlerReport, HandlerRun, HandlersFailed, WebhookEvent,
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

    /// Begins to run the handlers of an event, but for those whose names are to be skipped.
    pub(crate) async fn begin(
        &self,
        event: WebhookEvent,
        skip: impl Fn(&str) -> bool,
    ) -> Handling<'_> {
        let entries = self.entries().filter(|entry| !skip(&entry.name));
        let entries: VecDeque<&Entry> = entries.collect();
        let needs_output = entries.iter().any(|entry| entry.task.needs_output());
        Handling {
            registry: self,
            dispatch: Dispatch::new(event, needs_output).await,
            entries,
        }
    }
}

/// An event on its way through the handlers.
pub(crate) struct Handling<'a> {
    registry: &'a HandlerRegistry,
    dispatch: Dispatch,
    entries: VecDeque<&'a Entry>,
}

impl Handling<'_> {
    /// Finds the next handler that the event is meant for.
    pub(crate) fn next(&mut self) -> Option<Next<'_>> {
        loop {
            let entry = self.entries.pop_front()?;
            if let Some(work) = entry.task.run(&self.dispatch) {
                return Some(Next {
                    entry,
                    work,
                    limit: self.registry.timeout_of(entry),
                    event: &self.dispatch.event,
                });
            }
        }
    }

    /// Tells that every handler, of this attempt or of those before, succeeded.
    #[cfg(any(feature = "inbox-sqlite", feature = "inbox-postgres"))]
    pub(crate) fn succeeded(self) {
        telemetry::event_succeeded(&self.dispatch.event);
    }
}

/// A handler that has not begun.
pub(crate) struct Next<'a> {
    entry: &'a Entry,
    work: BoxFuture<'a, Result<(), HandlerError>>,
    limit: Duration,
    event: &'a WebhookEvent,
}

impl Next<'_> {
    pub(crate) async fn run(self) -> HandlerRun {
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
