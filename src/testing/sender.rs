use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use tower_service::Service;

use super::{
    report::{DeliveryAttempt, DeliveryReport},
    request::SignedRequest,
};
use crate::{
    clock::{Clock, SystemClock},
    error::ConfigError,
    event::{Retry, RetryReason},
    secret::WebhookSecret,
    signature::{SignatureEncoding, SigningKey},
};

/// Delivers bodies like pyannoteAI: signed, and with retries until a 2xx arrives within 10 s.
///
/// The first retry comes at once, the second after one minute, the third after five more. With a
/// [`ManualClock`](crate::clock::ManualClock), a test goes through this schedule without waiting.
///
/// # Example: a receiver that is down at first
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Full;
/// use tower::service_fn;
/// use tower_pyannote::{WebhookSecret, event::RetryReason, testing::{EventBuilder, WebhookSender}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut receiver = service_fn(async |request: Request<Full<Bytes>>| {
///     let mut response = Response::new(());
///     if !request.headers().contains_key("x-retry-num") {
///         *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
///     }
///     Ok::<_, std::convert::Infallible>(response)
/// });
///
/// let sender = WebhookSender::new(&WebhookSecret::new("whs_example")?);
/// let report = sender.deliver(EventBuilder::voiceprint().build(), &mut receiver).await;
/// assert!(report.accepted());
/// assert_eq!(report.attempts.len(), 2);
/// let retry = report.attempts[1].retry.as_ref().expect("the second attempt is a retry");
/// assert_eq!((retry.number, &retry.reason), (1, &Some(RetryReason::HttpError)));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct WebhookSender<C = SystemClock> {
    key: SigningKey,
    uri: Uri,
    encoding: SignatureEncoding,
    version_prefix: bool,
    sign_once: bool,
    schedule: Vec<Duration>,
    timeout: Duration,
    clock: C,
}

impl WebhookSender {
    /// Creates a sender that signs with `secret`, delivers to `/webhook` and uses the system's clock.
    pub fn new(secret: &WebhookSecret) -> Self {
        Self {
            key: SigningKey::new(secret),
            uri: Uri::from_static("/webhook"),
            encoding: SignatureEncoding::Hex,
            version_prefix: false,
            sign_once: false,
            schedule: SCHEDULE.to_vec(),
            timeout: TIMEOUT,
            clock: SystemClock,
        }
    }
}

impl<C> WebhookSender<C> {
    /// Sets the clock. Default: [`SystemClock`].
    pub fn with_clock<D: Clock>(self, clock: D) -> WebhookSender<D> {
        WebhookSender {
            key: self.key,
            uri: self.uri,
            encoding: self.encoding,
            version_prefix: self.version_prefix,
            sign_once: self.sign_once,
            schedule: self.schedule,
            timeout: self.timeout,
            clock,
        }
    }

    /// Sets the URI of the deliveries. Default: `/webhook`.
    pub fn with_uri(mut self, uri: Uri) -> Self {
        self.uri = uri;
        self
    }

    /// Sets the encoding of the signature. Default: [`Hex`](SignatureEncoding::Hex).
    pub fn with_encoding(mut self, encoding: SignatureEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets whether the signature has the prefix `v0=`. Default: false.
    pub fn with_version_prefix(mut self, version_prefix: bool) -> Self {
        self.version_prefix = version_prefix;
        self
    }

    /// Sets whether retries repeat the timestamp and signature of the first attempt. Default: false, so each is signed again.
    ///
    /// The documentation of pyannoteAI does not say which. If it signed once, its last retry would arrive about 400 s old.
    pub fn with_sign_once(mut self, sign_once: bool) -> Self {
        self.sign_once = sign_once;
        self
    }

    /// Sets the pauses before the retries. Default: 0 s, 60 s and 300 s. Without pauses, there is one attempt.
    pub fn with_schedule(mut self, schedule: impl Into<Vec<Duration>>) -> Self {
        self.schedule = schedule.into();
        self
    }

    /// Sets the timeout of an answer. Default: 10 s.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] if the timeout is zero.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            let setting = "answer timeout";
            return Err(ConfigError::ZeroTimeout { setting });
        }
        self.timeout = timeout;
        Ok(self)
    }
}

impl<C: Clock> WebhookSender<C> {
    /// Delivers to a service, which gets one request per attempt.
    ///
    /// An error of the service counts as `connection_failed`. A redirect counts as `http_error`, because there is no other
    /// service to send the request to.
    pub async fn deliver<S, B, R>(&self, body: impl Into<Bytes>, service: &mut S) -> DeliveryReport
    where
        S: Service<Request<B>, Response = Response<R>>,
        B: From<Bytes>,
    {
        // The lock is always free, because an attempt that timed out was dropped together with its guard.
        let service = &tokio::sync::Mutex::new(service);
        self.deliver_with(body, |request| async move {
            let mut service = service.lock().await;
            let answered = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request.to_request()).await
            };
            match answered.await {
                Ok(response) => Ok(response.status()),
                Err(_) => Err(RetryReason::ConnectionFailed),
            }
        })
        .await
    }

    /// Delivers through `send`, which makes one attempt: it sends the request, and returns the status of the answer, or the
    /// reason for a retry.
    ///
    /// An attempt that reaches the timeout is dropped, and counts as `http_timeout`.
    pub async fn deliver_with<F, A>(&self, body: impl Into<Bytes>, mut send: F) -> DeliveryReport
    where
        F: FnMut(SignedRequest) -> A,
        A: Future<Output = Result<StatusCode, RetryReason>>,
    {
        let body = body.into();
        let first = self.clock.now();
        let mut report = DeliveryReport::default();
        let mut retry = None;
        let mut waits = self.schedule.iter();
        loop {
            let at = self.clock.now();
            let signed_at = if self.sign_once { first } else { at };
            let request = self.request(body.clone(), signed_at, retry.clone());
            let answer = self.in_time(send(request)).await;
            let attempt = DeliveryAttempt { at, retry, answer };
            let failure = attempt.failure();
            report.attempts.push(attempt);

            let (Some(reason), Some(wait)) = (failure, waits.next()) else {
                return report;
            };
            self.clock.sleep(*wait).await;
            let number = u32::try_from(report.attempts.len()).unwrap_or(u32::MAX);
            retry = Some(Retry::new(number, Some(reason)));
        }
    }

    fn request(&self, body: Bytes, at: SystemTime, retry: Option<Retry>) -> SignedRequest {
        SignedRequest::with_key(self.key.clone(), body, at)
            .with_uri(self.uri.clone())
            .with_encoding(self.encoding)
            .with_version_prefix(self.version_prefix)
            .with_retry(retry)
    }

    async fn in_time<A>(&self, attempt: A) -> Result<StatusCode, RetryReason>
    where
        A: Future<Output = Result<StatusCode, RetryReason>>,
    {
        let mut attempt = pin!(attempt);
        let mut limit = pin!(self.clock.sleep(self.timeout));
        poll_fn(|cx| {
            if let Poll::Ready(answer) = attempt.as_mut().poll(cx) {
                return Poll::Ready(answer);
            }
            limit
                .as_mut()
                .poll(cx)
                .map(|()| Err(RetryReason::HttpTimeout))
        })
        .await
    }
}

impl<C> fmt::Debug for WebhookSender<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSender")
            .field("uri", &self.uri)
            .field("encoding", &self.encoding)
            .field("sign_once", &self.sign_once)
            .field("schedule", &self.schedule)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The schedule in the documentation of pyannoteAI.
const SCHEDULE: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_secs(60),
    Duration::from_secs(300),
];
const TIMEOUT: Duration = Duration::from_secs(10);
