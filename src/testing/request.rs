use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Uri, header::CONTENT_TYPE};

use crate::{
    event::Retry,
    headers::{RETRY_NUMBER, RETRY_REASON, SIGNATURE, TIMESTAMP},
    secret::WebhookSecret,
    signature::{SignatureEncoding, SigningKey},
};

/// A delivery like those of pyannoteAI: a body, and headers with its signature.
///
/// Signs the body only when the headers are asked for, so the order of the settings does not matter. `Debug` shows neither
/// secret nor signature.
///
/// # Example: a receiver's test
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
///
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
/// use tower_pyannote::{PyannoteSignatureLayer, WebhookEvent, WebhookSecret, clock::ManualClock, layer::VerifiedBody, testing::{EventBuilder, SignedRequest}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = WebhookSecret::new("whs_example")?;
/// let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
/// let receiver = ServiceBuilder::new()
///     .layer(PyannoteSignatureLayer::new(secret.clone()).with_clock(ManualClock::new(now)))
///     .service(service_fn(async |request: http::Request<VerifiedBody>| {
///         let event: &WebhookEvent = request.extensions().get().expect("the layer puts it there");
///         Ok::<_, std::convert::Infallible>(http::Response::new(event.job_id().to_owned()))
///     }));
///
/// let body = EventBuilder::diarization().with_job_id("job-1").build();
/// let good = SignedRequest::new(&secret, body).with_signed_at(now);
/// let response = receiver.clone().oneshot(good.to_request::<Full<Bytes>>()).await?;
/// assert_eq!(response.body(), "job-1");
///
/// let stale = good.with_signed_at(now - Duration::from_secs(3600));
/// let response = receiver.oneshot(stale.to_request::<Full<Bytes>>()).await?;
/// assert_eq!(response.status(), 401);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SignedRequest {
    key: SigningKey,
    body: Bytes,
    signed: Option<Bytes>,
    uri: Uri,
    timestamp: HeaderValue,
    encoding: SignatureEncoding,
    version_prefix: bool,
    retry: Option<Retry>,
}

impl SignedRequest {
    /// Creates a first attempt to deliver `body`, signed at the system's time.
    pub fn new(secret: &WebhookSecret, body: impl Into<Bytes>) -> Self {
        Self::with_key(SigningKey::new(secret), body.into(), SystemTime::now())
    }

    pub(super) fn with_key(key: SigningKey, body: Bytes, at: SystemTime) -> Self {
        Self {
            key,
            body,
            signed: None,
            uri: Uri::from_static("/webhook"),
            timestamp: seconds(at),
            encoding: SignatureEncoding::Hex,
            version_prefix: false,
            retry: None,
        }
    }

    /// Sets the URI. Default: `/webhook`.
    pub fn with_uri(mut self, uri: Uri) -> Self {
        self.uri = uri;
        self
    }

    /// Sets the time of signing. Default: the time of creation.
    pub fn with_signed_at(mut self, at: SystemTime) -> Self {
        self.timestamp = seconds(at);
        self
    }

    /// Sets the header of the timestamp, which may be malformed. Default: the time of creation, in Unix seconds.
    pub fn with_timestamp(mut self, timestamp: HeaderValue) -> Self {
        self.timestamp = timestamp;
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

    /// Sets the number and reason of a retry. Default: none, a first attempt.
    pub fn with_retry(mut self, retry: Option<Retry>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the body that is signed, as if the sent body had been tampered with. Default: the sent body.
    pub fn with_signed_body(mut self, signed: impl Into<Bytes>) -> Self {
        self.signed = Some(signed.into());
        self
    }

    /// Sets the body that is sent, as if it had been tampered with. The signature stays that of the earlier body.
    pub fn with_tampered_body(mut self, body: impl Into<Bytes>) -> Self {
        let signed = std::mem::replace(&mut self.body, body.into());
        self.signed.get_or_insert(signed);
        self
    }

    /// Returns the body that is sent.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the URI.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Returns the number and reason of the retry; `None` at the first attempt.
    #[must_use]
    pub fn retry(&self) -> Option<&Retry> {
        self.retry.as_ref()
    }

    /// Returns the headers. The value of the signature is marked as sensitive.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(&TIMESTAMP, self.timestamp.clone());
        headers.insert(&SIGNATURE, self.signature());
        if let Some(retry) = &self.retry {
            headers.insert(&RETRY_NUMBER, retry.number.into());
            let reason = retry.reason.as_ref();
            if let Some(Ok(reason)) = reason.map(|reason| HeaderValue::from_str(reason.as_str())) {
                headers.insert(&RETRY_REASON, reason);
            }
        }
        headers
    }

    /// Returns the request, with the body in the type that a service takes.
    #[must_use]
    pub fn to_request<B: From<Bytes>>(&self) -> Request<B> {
        self.to_request_with(B::from(self.body.clone()))
    }

    /// Returns the request with another body, for example one that is sent in pieces or breaks off.
    #[must_use]
    pub fn to_request_with<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers();
        request
    }

    fn signature(&self) -> HeaderValue {
        let signed = self.signed.as_ref().unwrap_or(&self.body);
        let signature = self.key.sign(&self.timestamp, signed);
        let digits = match self.encoding {
            SignatureEncoding::Hex => signature.to_hex(),
            SignatureEncoding::Base64 => signature.to_base64(),
        };
        let prefix = if self.version_prefix { "v0=" } else { "" };
        let mut value = HeaderValue::try_from(format!("{prefix}{digits}"))
            .expect("hex and base64 are visible ASCII");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for SignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedRequest")
            .field("uri", &self.uri)
            .field("timestamp", &self.timestamp)
            .field("encoding", &self.encoding)
            .field("retry", &self.retry)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

fn seconds(at: SystemTime) -> HeaderValue {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    since_epoch.as_secs().into()
}
