use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tower_pyannote::SigningKey;

use super::secret::SigningSecret;

/// Signs bodies with every secret of an endpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Signer {
    pub(super) standard: Vec<SigningSecret>,
    pub(super) pyannote: Option<SigningKey>,
}

/// The values of the signature headers.
struct Signatures {
    standard: Option<HeaderValue>,
    pyannote: Option<HeaderValue>,
}

impl Signer {
    /// Adds the header `webhook-id`. With secrets of Standard Webhooks, adds the timestamp and the signatures. With a secret of
    /// pyannoteAI's scheme, adds its two headers.
    pub(super) async fn add_headers(
        &self,
        headers: &mut HeaderMap,
        id: String,
        at: SystemTime,
        body: &Bytes,
    ) {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = at.as_secs().to_string();
        let signed = self.signatures(&id, &timestamp, body).await;
        headers.insert(ID, value(id));
        let timestamp = value(timestamp);
        if let Some(signature) = signed.standard {
            headers.insert(TIMESTAMP, timestamp.clone());
            headers.insert(SIGNATURE, signature);
        }
        if let Some(signature) = signed.pyannote {
            headers.insert(PYANNOTE_TIMESTAMP, timestamp);
            headers.insert(PYANNOTE_SIGNATURE, signature);
        }
    }

    async fn signatures(&self, id: &str, timestamp: &str, body: &Bytes) -> Signatures {
        if body.len() <= SIGNED_IN_PLACE || (self.standard.is_empty() && self.pyannote.is_none()) {
            return self.sign(id, timestamp, body);
        }
        let signer = self.clone();
        let (of, at, bytes) = (id.to_owned(), timestamp.to_owned(), body.clone());
        let signed = tokio::task::spawn_blocking(move || signer.sign(&of, &at, &bytes));
        match signed.await {
            Ok(signed) => signed,
            // The runtime shuts down.
            Err(_) => self.sign(id, timestamp, body),
        }
    }

    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Signatures {
        let standard = self.standard.iter();
        let standard: Vec<_> = standard
            .map(|secret| secret.sign(id, timestamp, body))
            .collect();
        let pyannote = self.pyannote.as_ref();
        let pyannote = pyannote.map(|key| key.sign(timestamp, body).to_hex());
        Signatures {
            standard: (!standard.is_empty()).then(|| secret_value(standard.join(" "))),
            pyannote: pyannote.map(secret_value),
        }
    }
}

/// Makes a header value of ASCII without control characters.
pub(super) fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Makes a header value that `Debug` does not show.
fn secret_value(text: String) -> HeaderValue {
    let mut value = value(text);
    value.set_sensitive(true);
    value
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const PYANNOTE_TIMESTAMP: HeaderName = HeaderName::from_static("x-request-timestamp");
const PYANNOTE_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// The largest body that is signed on the thread of the request. Each secret hashes the body once, at about 0.7 ms per MiB, so
/// a larger body would block other tasks of the thread.
const SIGNED_IN_PLACE: usize = 64 << 10;
