use std::fmt;
use std::ops::Deref;

use reqwest::Url;

use crate::error::ClientError;
use crate::invalid_request::InvalidRequest;
use crate::url::{is_secure, without_secrets};

/// The URL of an audio in pyannoteAI's temporary storage: `media://` and a key that the caller chooses.
///
/// Dereferences to the whole URL, so that a request takes it as its URL.
///
/// # Example
///
/// ```
/// use pyannoteai_client::{DiarizeRequest, MediaKey};
///
/// let key = MediaKey::new("meetings/2026-11-24.wav")?;
/// assert_eq!(key, MediaKey::new("media://meetings/2026-11-24.wav")?);
/// let request = DiarizeRequest::new(&key)?;
///
/// assert_eq!(MediaKey::new("the meeting.wav").unwrap_err().field(), "url");
/// # Ok::<(), pyannoteai_client::InvalidRequest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MediaKey(String);

impl MediaKey {
    /// Makes the URL of a key of 1 to 247 ASCII letters, digits, `-`, `_`, `.` and `/`, with or without `media://`
    /// before it. The URL has at most 255 characters.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the key has another character or another length.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        let key = key.as_ref();
        let key = key.strip_prefix(URL_PREFIX).unwrap_or(key);
        check_key("url", key)?;
        Ok(Self(format!("{URL_PREFIX}{key}")))
    }

    /// Returns the key of a URL, if it is a `media://` URL.
    pub(crate) fn of_url(url: &str) -> Option<Self> {
        Self::new(url.strip_prefix(URL_PREFIX)?).ok()
    }

    /// Returns the whole URL, with `media://`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for MediaKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for MediaKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MediaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A URL that grants access to one media file for a limited time, without the API key.
///
/// `Debug` leaves out the query, because it holds the grant.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(Url);

impl PresignedUrl {
    /// Returns the whole URL. Keep it out of logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn parse(url: &str, insecure_http: bool) -> Result<Self, ClientError> {
        let url = Url::parse(url)
            .map_err(|_| ClientError::decode("the presigned url is not a valid url"))?;
        if is_secure(&url) || (insecure_http && url.scheme() == "http") {
            return Ok(Self(url));
        }
        Err(ClientError::decode("the presigned url is not https"))
    }

    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PresignedUrl({}?[redacted])", without_secrets(&self.0))
    }
}

pub(crate) fn check_key(field: &'static str, key: &str) -> Result<(), InvalidRequest> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let reason = if key.is_empty() {
        "has an empty media key: give at least one character"
    } else if key.len() > MAX_KEY_LEN {
        "has a media key of more than 247 characters: give a shorter key"
    } else if !key.bytes().all(allowed) {
        "has a media key with characters other than ascii letters, digits, `-`, `_`, `.` and `/`"
    } else {
        return Ok(());
    };
    Err(InvalidRequest::new(field, reason))
}

pub(crate) const URL_PREFIX: &str = "media://";
/// pyannoteAI allows 255 characters, `media://` included.
const MAX_KEY_LEN: usize = 255 - URL_PREFIX.len();
