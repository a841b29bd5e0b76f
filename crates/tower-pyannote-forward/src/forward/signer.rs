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

impl Signer {
    /// Returns the id of Standard Webhooks and its timestamp and signatures, and pyannoteAI's two headers, as far as there are
    /// secrets.
    pub(super) async fn headers(&self, id: String, at: SystemTime, body: &Bytes) -> HeaderMap {
        if body.len() <= SIGNED_IN_PLACE || (self.standard.is_empty() && self.pyannote.is_none()) {
            return self.sign(&id, at, body);
        }
        let (signer, again, bytes) = (self.clone(), id.clone(), body.clone());
        let signed = tokio::task::spawn_blocking(move || signer.sign(&again, at, &bytes));
        match signed.await {
            Ok(headers) => headers,
            // The runtime shuts down.
            Err(_) => self.sign(&id, at, body),
        }
    }

    fn sign(&self, id: &str, at: SystemTime, body: &[u8]) -> HeaderMap {
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp = at.as_secs().to_string();
        let mut headers = HeaderMap::new();
        headers.insert(ID, value(id));
        if !self.standard.is_empty() {
            let signatures: Vec<_> = self
                .standard
                .iter()
                .map(|secret| secret.sign(id, &timestamp, body))
                .collect();
            headers.insert(TIMESTAMP, value(&timestamp));
            headers.insert(SIGNATURE, secret_value(&signatures.join(" ")));
        }
        if let Some(key) = &self.pyannote {
            let signature = key.sign(&timestamp, body).to_hex();
            headers.insert(PYANNOTE_TIMESTAMP, value(&timestamp));
            headers.insert(PYANNOTE_SIGNATURE, secret_value(&signature));
        }
        headers
    }
}

/// Makes a header value of ASCII without control characters.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Makes a header value that `Debug` does not show.
fn secret_value(text: &str) -> HeaderValue {
    let mut value = value(text);
    value.set_sensitive(true);
    value
}

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");
const PYANNOTE_TIMESTAMP: HeaderName = HeaderName::from_static("x-request-timestamp");
const PYANNOTE_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// Hashing takes about 1 ms a MiB, and each secret hashes the body once.
const SIGNED_IN_PLACE: usize = 1 << 20;
