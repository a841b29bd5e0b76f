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

use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::{Client, answer, telemetry};

/// A request to the API.
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) effect: Effect,
    pub(crate) url: Url,
    pub(crate) body: Option<Bytes>,
    pub(crate) limit: usize,
}

/// What it means to send a request twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing.
    Read,
    /// Something, though not a bill.
    Write,
    /// A second job, billed.
    Submission,
}

impl Call {
    pub(crate) fn get(name: &'static str, url: Url) -> Self {
        Self {
            name,
            effect: Effect::Read,
            url,
            body: None,
            limit: SMALL_ANSWER,
        }
    }

    pub(crate) fn post(name: &'static str, effect: Effect, url: Url, body: Vec<u8>) -> Self {
        Self {
            name,
            effect,
            url,
            body: Some(body.into()),
            limit: SMALL_ANSWER,
        }
    }
}

impl Client {
    /// Sends a request, within the rate limit, and again if it is safe to, and returns the body of the answer.
    pub(crate) async fn send(&self, call: &Call) -> Result<Bytes, ClientError> {
        self.repeat(call.name, call.effect, async || {
            self.inner.limiter.ready().await;
            let answer = self.attempt(call).await;
            telemetry::requested(call.name, answer.as_ref().err());
            answer
        })
        .await
    }

    pub(crate) async fn repeat<T, F>(
        &self,
        name: &'static str,
        effect: Effect,
        attempt: impl Fn() -> F,
    ) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let mut delays = ExponentialBuilder::new()
            .with_min_delay(FIRST_DELAY)
            .with_max_delay(LONGEST_DELAY)
            .with_max_times(self.inner.max_retries)
            .with_jitter()
            .build();
        loop {
            let error = match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) if may_repeat(effect, &error) => error,
                Err(error) => return Err(error),
            };
            let Some(delay) = delays.next() else {
                return Err(error);
            };
            telemetry::repeating(name, &error);
            // A limit holds for every request of the key, so all of them wait for it, not this one alone.
            if error.kind() == ClientErrorKind::RateLimited {
                self.inner
                    .limiter
                    .pause(error.retry_after().unwrap_or(delay));
            } else {
                self.inner.time.sleep(delay).await;
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Bytes, ClientError> {
        let begun = Arc::new(AtomicBool::new(false));
        let answer = self.exchange(call, &begun).await;
        answer.map_err(|error| {
            let error = error.with_body_sent(begun.load(Ordering::SeqCst));
            match call.effect {
                Effect::Submission => error.of_submission(),
                Effect::Read | Effect::Write => error,
            }
        })
    }

    async fn exchange(&self, call: &Call, begun: &Arc<AtomicBool>) -> Result<Bytes, ClientError> {
        let inner = &*self.inner;
        let method = call.body.as_ref().map_or(Method::GET, |_| Method::POST);
        let mut request = inner
            .http
            .request(method, call.url.clone())
            .header(AUTHORIZATION, inner.key.header())
            .timeout(inner.timeout);
        if let Some(body) = &call.body {
            let body = OnceBody {
                bytes: Some(body.clone()),
                begun: Arc::clone(begun),
            };
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(reqwest::Body::wrap(body));
        }
        let response = request.send().await?;
        let now = inner.time.now();
        if let Some(pause) = answer::asked_pause(response.status(), response.headers(), now) {
            inner.limiter.pause(pause);
        }
        if !response.status().is_success() {
            return Err(answer::refusal(response, &inner.key, now).await);
        }
        answer::read(response, call.limit).await
    }
}

/// Tells whether a request may be sent again after this error, which is so for a submission only if the API refused it
/// for the rate alone, or never got to see its body.
fn may_repeat(effect: Effect, error: &ClientError) -> bool {
    let unsent = || effect == Effect::Read || !error.body_sent();
    match error.kind() {
        ClientErrorKind::RateLimited => true,
        ClientErrorKind::Connect | ClientErrorKind::Transport => unsent(),
        ClientErrorKind::Timeout | ClientErrorKind::Server => effect == Effect::Read,
        ClientErrorKind::Storage => {
            let failed = error
                .status()
                .is_some_and(|status| status.is_server_error());
            failed && effect == Effect::Read
        }
        _ => false,
    }
}

/// A body that can be sent once only, so that no layer below repeats it, and tells whether any of it was.
struct OnceBody {
    bytes: Option<Bytes>,
    begun: Arc<AtomicBool>,
}

impl Body for OnceBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.begun.store(true, Ordering::SeqCst);
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

const FIRST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(20);
const SMALL_ANSWER: usize = 1024 * 1024;
