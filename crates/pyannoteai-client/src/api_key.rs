use std::env::VarError;
use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::ConfigError;

/// The API key, stored only as the header that carries it.
///
/// The bytes are overwritten when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct ApiKey(HeaderValue);

impl ApiKey {
    pub(crate) fn new(key: &Zeroizing<String>) -> Result<Self, ConfigError> {
        if key.trim().is_empty() {
            return Err(invalid("is empty or blank: copy it from the dashboard"));
        }
        if key.trim().len() != key.len() {
            return Err(invalid("has white space around it: remove the white space"));
        }
        let not_ascii = "has characters other than ascii letters, digits and punctuation: copy it from the dashboard";
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(not_ascii));
        }
        let mut header = Zeroizing::new(Vec::with_capacity(BEARER.len() + key.len()));
        header.extend_from_slice(BEARER.as_bytes());
        header.extend_from_slice(key.as_bytes());
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(header))
            .map_err(|_| invalid(not_ascii))?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    pub(crate) fn from_env() -> Result<Zeroizing<String>, ConfigError> {
        let key = std::env::var(VARIABLE).map(Zeroizing::new);
        key.map_err(|error| match error {
            VarError::NotPresent => invalid("is not set: set PYANNOTEAI_API_KEY"),
            VarError::NotUnicode(_) => invalid("is not unicode: set PYANNOTEAI_API_KEY again"),
        })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Replaces the key in a text from a response.
    pub(crate) fn redact(&self, text: &str) -> String {
        let key = self.0.as_bytes().get(BEARER.len()..).unwrap_or_default();
        match std::str::from_utf8(key) {
            Ok(key) => text.replace(key, "[redacted]"),
            Err(_) => String::new(),
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

fn invalid(reason: &str) -> ConfigError {
    ConfigError::new("api key", reason)
}

const BEARER: &str = "Bearer ";
const VARIABLE: &str = "PYANNOTEAI_API_KEY";
