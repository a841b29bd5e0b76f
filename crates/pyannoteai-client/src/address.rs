use std::fmt;

use reqwest::Url;
use serde::Serialize;

use crate::invalid_request::InvalidRequest;
use crate::media;
use crate::url::{is_secure, without_secrets};

/// A valid URL in a request, sent exactly as the caller wrote it.
///
/// `Debug` leaves out user, query and fragment, because these may hold secrets.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Address(String);

impl Address {
    /// Checks the address of an audio: `http`, `https`, or `media://` and a key.
    pub(crate) fn audio(text: &str) -> Result<Self, InvalidRequest> {
        if let Some(key) = text.strip_prefix(media::URL_PREFIX) {
            media::check_key("url", key)?;
            return Ok(Self(text.to_owned()));
        }
        let reason = "is not an http, https or media:// URL: give the address of an audio file";
        Self::parse(text, |url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| InvalidRequest::new("url", reason))
    }

    /// Checks the address of a webhook: `https`, or `http` on this machine, where only a simulator can deliver.
    pub(crate) fn webhook(text: &str) -> Result<Self, InvalidRequest> {
        let reason = "is not an https URL: pyannoteAI delivers webhooks over https only";
        Self::parse(text, is_secure).ok_or_else(|| InvalidRequest::new("webhook", reason))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str, allowed: impl Fn(&Url) -> bool) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        (url.has_host() && allowed(&url)).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Url::parse(&self.0).map_or_else(|_| String::new(), |url| without_secrets(&url));
        fmt::Debug::fmt(&shown, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_leaves_out_user_and_query() {
        let address = Address::audio("https://me:pass@host:444/a.wav?token=s3cret#f").unwrap();
        assert_eq!(format!("{address:?}"), "\"https://host:444/a.wav\"");
        let address = Address::audio("media://a/b.wav").unwrap();
        assert_eq!(format!("{address:?}"), "\"media://a/b.wav\"");
    }
}
