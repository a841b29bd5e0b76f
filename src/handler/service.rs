use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use tower_service::Service;

use super::{
    dispatch::{BoxFuture, Dispatch},
    guard::{guarded, told},
    telemetry,
};
use crate::{HandlerRegistry, HandlerReport, HandlerRun, HandlersFailed, WebhookEvent};

impl HandlerRegistry {
    /// Runs the handlers of an event and says how each ended.
    ///
    /// Unlike the service it leaves it to the caller what to make of a failure.
    pub async fn handle(&self, event: WebhookEvent) -> HandlerReport {
        let needs_output = self.entries().any(|entry| entry.task.needs_output());
        let dispatch = Dispatch::new(event, needs_output).await;
        let mut runs = Vec::new();
        for entry in self.entries() {
            let Some(work) = entry.task.run(&dispatch) else {
                continue;
            };
            let started = Instant::now();
            let outcome = guarded(work, self.timeout_of(entry)).await;
            let run = HandlerRun {
                name: entry.name.clone(),
                outcome,
                elapsed: started.elapsed(),
            };
            told(|| telemetry::handler_ran(&dispatch.event, &run));
            runs.push(run);
        }
        let report = HandlerReport::new(runs);
        telemetry::event_handled(&dispatch.event, &report);
        report
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
