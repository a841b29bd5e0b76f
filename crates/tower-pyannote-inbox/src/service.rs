use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header::RETRY_AFTER};
use tower_service::Service;

use crate::{inbox::Inbox, telemetry};
use tower_pyannote::{WebhookEvent, handler::EmptyBody};

/// Commits the event of a request, and then answers: the HTTP side of an [`Inbox`].
///
/// `PyannoteSignatureLayer` puts the event into the request's extensions. The answer has no body:
///
/// | what happened | answer |
/// |---|---|
/// | the event is committed, now or before | 200 |
/// | the database failed, or did not answer within 5 s | 503 with `Retry-After`; pyannoteAI repeats the delivery |
/// | there is no event, because the layer is missing or inside | 500 |
///
/// Handlers do not run here. See [`Inbox`] for an example.
#[derive(Clone, Debug)]
#[must_use]
pub struct InboxService {
    inbox: Inbox,
}

impl Inbox {
    /// Creates the HTTP side, to be put under `PyannoteSignatureLayer`.
    pub fn service(&self) -> InboxService {
        InboxService {
            inbox: self.clone(),
        }
    }
}

impl<B> Service<Request<B>> for InboxService {
    type Response = Response<EmptyBody>;
    type Error = Infallible;
    type Future = InboxResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> InboxResponseFuture {
        let event = request.extensions_mut().remove::<WebhookEvent>();
        let inbox = self.inbox.clone();
        InboxResponseFuture {
            inner: Box::pin(async move {
                let Some(event) = event else {
                    telemetry::no_event();
                    return StatusCode::INTERNAL_SERVER_ERROR;
                };
                match inbox.commit(&event).await {
                    Ok(_) => StatusCode::OK,
                    Err(_) => StatusCode::SERVICE_UNAVAILABLE,
                }
            }),
        }
    }
}

/// The future of [`InboxService`].
#[must_use = "futures do nothing unless polled"]
pub struct InboxResponseFuture {
    inner: Pin<Box<dyn Future<Output = StatusCode> + Send>>,
}

impl Future for InboxResponseFuture {
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.inner.as_mut().poll(cx).map(|status| {
            let mut response = Response::new(EmptyBody::default());
            *response.status_mut() = status;
            if status == StatusCode::SERVICE_UNAVAILABLE {
                let seconds = HeaderValue::from_static(RETRY_AFTER_SECONDS);
                response.headers_mut().insert(RETRY_AFTER, seconds);
            }
            Ok(response)
        })
    }
}

impl fmt::Debug for InboxResponseFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxResponseFuture")
            .finish_non_exhaustive()
    }
}

const RETRY_AFTER_SECONDS: &str = "5";
