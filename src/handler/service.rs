use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tower_service::Service;

use super::{
    dispatch::BoxFuture,
    registry::HandlerRegistry,
    report::{HandlerReport, HandlersFailed},
};
use crate::event::webhook_event::WebhookEvent;

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
