use std::fmt;
use std::mem;
use std::task::{Context, Poll};

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::VerifiedBody;
use super::future::{InnerCall, ResponseFuture};
use super::receive::Receive;
use super::rejection::{DefaultResponseForRejection, Rejection, ResponseForRejection};
use super::signature_layer::PyannoteSignatureLayer;
use crate::clock::{Clock, SystemClock};
use crate::event::{Delivery, Retry};
use crate::headers::{RETRY_NUMBER, RETRY_REASON, SIGNATURE, TIMESTAMP, values};
use crate::secret::SecretSet;

/// Middleware that passes on only requests that pyannoteAI signed. It puts a [`WebhookEvent`](crate::WebhookEvent) into
/// the request's extensions.
///
/// See the [crate docs](crate) for the checks and an example.
#[derive(Clone)]
#[must_use]
pub struct VerifySignature<S, C = SystemClock, R = DefaultResponseForRejection> {
    inner: S,
    layer: PyannoteSignatureLayer<C, R>,
}

impl VerifySignature<()> {
    /// Returns a layer that accepts deliveries signed with any of `secrets`.
    pub fn layer(secrets: impl Into<SecretSet>) -> PyannoteSignatureLayer {
        PyannoteSignatureLayer::new(secrets)
    }
}

impl<S, C, R> VerifySignature<S, C, R> {
    /// Returns a reference to the inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Returns a mutable reference to the inner service.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// Returns the inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, C, R> Layer<S> for PyannoteSignatureLayer<C, R>
where
    C: Clone,
    R: Clone,
{
    type Service = VerifySignature<S, C, R>;

    fn layer(&self, inner: S) -> Self::Service {
        VerifySignature {
            inner,
            layer: self.clone(),
        }
    }
}

impl<S, C, R> fmt::Debug for VerifySignature<S, C, R>
where
    S: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifySignature")
            .field("inner", &self.inner)
            .field("layer", &self.layer)
            .finish()
    }
}

impl<S, C, R, B, ResBody> Service<Request<B>> for VerifySignature<S, C, R>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>> + Clone,
    C: Clock + Clone,
    R: ResponseForRejection<ResBody> + Clone,
    B: Body,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B, C, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Take the ready service even if the request is refused. Otherwise the ready service would hold its permits,
        // for example of a concurrency limit, until this connection ends.
        let clone = self.inner.clone();
        let ready = mem::replace(&mut self.inner, clone);
        let rejection_response = self.layer.rejection_response.clone();

        let (parts, body) = request.into_parts();
        match self.layer.check_head(&parts, body) {
            Ok((receive, delivery)) => {
                let inner_call = InnerCall::new(ready, parts, delivery);
                ResponseFuture::receive(receive, inner_call, rejection_response)
            }
            Err(rejection) => ResponseFuture::refuse(rejection, rejection_response),
        }
    }
}

impl<C, R> PyannoteSignatureLayer<C, R>
where
    C: Clock + Clone,
{
    /// Refuses requests that are invalid by method or headers, before a byte of the body is read.
    fn check_head<B: Body>(
        &self,
        head: &Parts,
        body: B,
    ) -> Result<(Receive<B, C>, Delivery), Rejection> {
        if head.method != Method::POST {
            return Err(Rejection::MethodNotAllowed);
        }
        let now = self.clock.now();
        let verification = self
            .verifier
            .start(
                values(&head.headers, &TIMESTAMP),
                values(&head.headers, &SIGNATURE),
                now,
            )
            .map_err(Rejection::Unverified)?;

        let announced = announced(&head.headers, &body);
        if announced.is_some_and(|length| length > self.limits.body) {
            return Err(Rejection::BodyTooLarge);
        }

        let first = |name: &HeaderName| head.headers.get(name).map(HeaderValue::as_bytes);
        let retry = Retry::from_headers(first(&RETRY_NUMBER), first(&RETRY_REASON));
        let receive = Receive::new(
            body,
            announced,
            verification,
            self.limits,
            self.budget.clone(),
            self.clock.clone(),
        );
        Ok((receive, Delivery::at(now).with_retry(retry)))
    }
}

/// Returns the announced length of the body. The header is the fallback, because other middleware may hide the size
/// hint of the body.
fn announced(headers: &HeaderMap, body: &impl Body) -> Option<usize> {
    let header = || headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok();
    let length: u64 = match body.size_hint() {
        hint if hint.exact().is_some() => hint.exact()?,
        hint if hint.lower() > 0 => hint.lower(),
        _ => header()?,
    };
    Some(usize::try_from(length).unwrap_or(usize::MAX))
}
