use std::{
    convert::Infallible,
    fmt,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::telemetry;
use crate::event::webhook_event::WebhookEvent;

/// Serves HTTP with a service of events, inside `PyannoteSignatureLayer`.
///
/// Takes the event from the request's extensions, where the layer puts it, and does not read the body. The response has
/// no body:
///
/// | what happened | status |
/// |---|---|
/// | the inner service returned `Ok` | 200 |
/// | the inner service returned an error, from `call` or from `poll_ready` | 500, so pyannoteAI repeats the delivery |
/// | the request has no event, because the layer is missing or not outside | 500 |
/// | `call` came without a successful `poll_ready` | 500 |
///
/// The inner service takes [`WebhookEvent`]s: a [`HandlerRegistry`](crate::HandlerRegistry), with or without tower's layers
/// around it. This service never fails, because it turns errors of the inner service into responses and logs them.
///
/// # Example: a registry with a limit, behind HTTP
///
/// ```
/// use std::time::Duration;
///
/// use http::{Request, StatusCode};
/// use tower::{ServiceBuilder, ServiceExt};
/// use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery, handler::HandlerService};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = HandlerRegistry::new()
///     .on_failed("alert", async |_event| Err("the alert could not be sent".into()))?;
/// let service = HandlerService::new(
///     ServiceBuilder::new()
///         .timeout(Duration::from_secs(9))
///         .concurrency_limit(16)
///         .service(registry),
/// );
///
/// // The layer does the same for a verified delivery:
/// let deliver = |body: &'static str| {
///     let event = WebhookEvent::new(body.into(), Delivery::at(std::time::SystemTime::now()))?;
///     let mut request = Request::new(String::new());
///     request.extensions_mut().insert(event);
///     Ok::<_, tower_pyannote::event::EventError>(service.clone().oneshot(request))
/// };
///
/// let answer = deliver(r#"{"jobId":"a","status":"canceled"}"#)?.await?;
/// assert_eq!(answer.status(), StatusCode::OK);
///
/// let answer = deliver(r#"{"jobId":"a","status":"failed"}"#)?.await?;
/// assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct HandlerService<S> {
    inner: S,
    ready: bool,
}

impl<S> HandlerService<S> {
    /// Creates an HTTP service around `inner`.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            ready: false,
        }
    }
}

impl<S: Clone> Clone for HandlerService<S> {
    fn clone(&self) -> Self {
        // A clone of a ready service is not ready.
        Self::new(self.inner.clone())
    }
}

impl<S, B> Service<Request<B>> for HandlerService<S>
where
    S: Service<WebhookEvent>,
    S::Error: fmt::Display,
{
    type Response = Response<EmptyBody>;
    type Error = Infallible;
    type Future = HandlerResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        let ready = ready!(self.inner.poll_ready(cx));
        self.ready = ready.is_ok();
        if let Err(error) = ready {
            telemetry::not_ready(&error);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let ready = mem::take(&mut self.ready);
        let event = request.extensions_mut().remove::<WebhookEvent>();
        if event.is_none() {
            telemetry::no_event();
        }
        let state = match event {
            Some(event) if ready => State::Handling {
                inner: self.inner.call(event),
            },
            _ => State::Refused,
        };
        HandlerResponseFuture { state }
    }
}

pin_project! {
    /// The future of [`HandlerService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct HandlerResponseFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = StateProj]
    enum State<F> {
        Handling { #[pin] inner: F },
        Refused,
    }
}

impl<F, T, E> Future for HandlerResponseFuture<F>
where
    F: Future<Output = Result<T, E>>,
    E: fmt::Display,
{
    type Output = Result<Response<EmptyBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let status = match self.project().state.project() {
            StateProj::Refused => StatusCode::INTERNAL_SERVER_ERROR,
            StateProj::Handling { inner } => match ready!(inner.poll(cx)) {
                Ok(_) => StatusCode::OK,
                Err(error) => {
                    telemetry::not_handled(&error);
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            },
        };
        let mut response = Response::new(EmptyBody);
        *response.status_mut() = status;
        Poll::Ready(Ok(response))
    }
}

/// The empty body of a response.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct EmptyBody;

impl Body for EmptyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
