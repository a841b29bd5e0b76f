use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method};
use http_body::{Body, Frame, SizeHint};
use reqwest::Url;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::rate_limit_headers::RateLimitHeaders;
use crate::submission_log::SubmissionIntent;
use crate::{response, telemetry};

/// A request to the API.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) endpoint: Endpoint,
    pub(crate) effect: Effect,
    pub(crate) url: Url,
    pub(crate) body: Option<Bytes>,
    /// The maximum size of the response, in bytes.
    pub(crate) limit: usize,
}

/// What a request does, which decides when it may be repeated.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Changes nothing.
    Read,
    /// Changes something that is not billed.
    Write,
    /// Creates a job, which is billed if it succeeds.
    Submission,
}

impl Call {
    pub(crate) fn get(name: &'static str, endpoint: Endpoint, url: Url) -> Self {
        Self {
            name,
            endpoint,
            effect: Effect::Read,
            url,
            body: None,
            limit: SMALL_RESPONSE,
        }
    }

    pub(crate) fn post(
        name: &'static str,
        endpoint: Endpoint,
        effect: Effect,
        url: Url,
        body: &impl Serialize,
    ) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| {
            ClientError::new(ClientErrorKind::InvalidRequest).with_source(error)
        })?;
        Ok(Self {
            name,
            endpoint,
            effect,
            url,
            body: Some(body.into()),
            limit: SMALL_RESPONSE,
        })
    }
}

impl Client {
    /// Sends a request within the rate limit, repeats it where that is safe, and returns the body of the response.
    pub(crate) async fn send(&self, call: &Call) -> Result<Bytes, ClientError> {
        self.retry(call.name, call.effect, async || {
            self.shared.limiter.ready(call.endpoint).await;
            let response = self.attempt(call).await;
            telemetry::requested(call.name, response.as_ref().err());
            response
        })
        .await
    }

    /// Sends a submission as [`send`](Self::send) does, and records each attempt in the submission log before it is made.
    pub(crate) async fn send_submission(
        &self,
        call: &Call,
        intent: &mut Option<SubmissionIntent>,
    ) -> Result<Bytes, ClientError> {
        let Some(intent) = intent else {
            return self.send(call).await;
        };
        let intent = Mutex::new(intent);
        self.retry(call.name, call.effect, async || {
            // The intent is recorded late, because events of unknown jobs wait while it is open.
            self.shared.limiter.ready(call.endpoint).await;
            let mut intent = intent.lock().await;
            let response = match self.open(&mut intent).await {
                Ok(()) => self.attempt(call).await,
                Err(error) => Err(error),
            };
            telemetry::requested(call.name, response.as_ref().err());
            if let Err(error) = &response {
                self.close(Some(&intent), error).await;
            }
            response
        })
        .await
    }

    pub(crate) async fn retry<T, F>(
        &self,
        name: &'static str,
        effect: Effect,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(MIN_DELAY)
            .with_max_delay(MAX_DELAY)
            .with_max_times(self.shared.max_retries)
            .with_jitter()
            .build();
        loop {
            let error = match attempt().await {
                Ok(response) => return Ok(response),
                Err(error) if may_retry(effect, &error) => error,
                Err(error) => return Err(error),
            };
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            telemetry::retrying(name, &error);
            if error.kind() != ClientErrorKind::RateLimited {
                self.sleep(delay).await;
            } else if error.retry_after().is_none() {
                // Nothing says which requests the limit is for, so all requests of the client wait.
                self.shared.limiter.pause(delay);
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, ClientError> {
        let body_sent = Arc::new(AtomicBool::new(false));
        let response = self.exchange(call, &body_sent).await;
        response.map_err(|error| {
            let error = error.with_body_sent(body_sent.load(Ordering::SeqCst));
            match call.effect {
                Effect::Submission => error.of_submission(),
                Effect::Read | Effect::Write => error,
            }
        })
    }

    async fn exchange(
        &self,
        call: &Call,
        body_sent: &Arc<AtomicBool>,
    ) -> Result<Bytes, ClientError> {
        let shared = &*self.shared;
        let method = call.body.as_ref().map_or(Method::GET, |_| Method::POST);
        let mut request = shared
            .http
            .request(method, call.url.clone())
            .header(AUTHORIZATION, shared.key.header())
            .timeout(shared.timeout);
        if let Some(bytes) = call.body.clone() {
            let body = OnceBody {
                bytes: Some(bytes),
                sent: Arc::clone(body_sent),
            };
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(reqwest::Body::wrap(body));
        }
        let response = request.send().await.map_err(ClientError::from_reqwest)?;
        let (status, now) = (response.status(), shared.clock.now());
        let rate_limit = RateLimitHeaders::read(status, response.headers(), now);
        shared.limiter.observe(call.endpoint, &rate_limit);
        if !status.is_success() {
            return Err(response::error(response, &shared.key, &rate_limit).await);
        }
        response::read(response, call.limit).await
    }
}

/// Returns whether a request may be sent again after an error.
///
/// A submission may be only if the API refused it with 429 or did not receive its body.
fn may_retry(effect: Effect, error: &ClientError) -> bool {
    let is_read = effect == Effect::Read;
    match error.kind() {
        ClientErrorKind::RateLimited => true,
        ClientErrorKind::Connect | ClientErrorKind::Transport => is_read || !error.body_sent(),
        ClientErrorKind::Timeout | ClientErrorKind::Server => is_read,
        ClientErrorKind::Storage => {
            is_read
                && error
                    .status()
                    .is_some_and(|status| status.is_server_error())
        }
        _ => false,
    }
}

/// A body that can be sent only once, so that the HTTP client cannot repeat the request, and that records whether it
/// was sent.
struct OnceBody {
    bytes: Option<Bytes>,
    sent: Arc<AtomicBool>,
}

impl Body for OnceBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.sent.store(true, Ordering::SeqCst);
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let left = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

const MIN_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(20);
const SMALL_RESPONSE: usize = 1024 * 1024;
