use std::env::VarError;
use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::ConfigError;

/// The API key, kept once, as the header that carries it; the bytes are overwritten when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct ApiKey(HeaderValue);

impl ApiKey {
    pub(crate) fn new(key: &Zeroizing<String>) -> Result<Self, ConfigError> {
        let invalid = |reason: &str| ConfigError::InvalidSetting {
            setting: "api key",
            reason: reason.to_owned(),
        };
        if key.trim().is_empty() {
            return Err(invalid(
                "is empty or blank: copy it from the pyannoteAI dashboard",
            ));
        }
        if key.trim().len() != key.len() {
            return Err(invalid(
                "begins or ends with white space: remove the white space",
            ));
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "holds other than ascii letters, digits and marks: copy it from the pyannoteAI dashboard",
            ));
        }
        let mut header = Zeroizing::new(Vec::with_capacity(SCHEME.len() + key.len()));
        header.extend_from_slice(SCHEME.as_bytes());
        header.extend_from_slice(key.as_bytes());
        let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(header))
            .map_err(|_| invalid("is no header: copy it from the pyannoteAI dashboard"))?;
        header.set_sensitive(true);
        Ok(Self(header))
    }

    pub(crate) fn from_env() -> Result<Zeroizing<String>, ConfigError> {
        std::env::var(VARIABLE)
            .map(Zeroizing::new)
            .map_err(|error| {
                let reason = match error {
                    VarError::NotPresent => "is not set: set PYANNOTEAI_API_KEY",
                    VarError::NotUnicode(_) => "is not unicode: set PYANNOTEAI_API_KEY again",
                };
                ConfigError::InvalidSetting {
                    setting: "api key",
                    reason: reason.to_owned(),
                }
            })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// Takes the key out of a text that an answer brought.
    pub(crate) fn redact(&self, text: &str) -> String {
        let key = self.0.as_bytes().get(SCHEME.len()..).unwrap_or_default();
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

const SCHEME: &str = "Bearer ";
const VARIABLE: &str = "PYANNOTEAI_API_KEY";
