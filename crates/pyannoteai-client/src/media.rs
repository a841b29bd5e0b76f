use std::fmt;
use std::ops::Deref;

use reqwest::Url;

use crate::address::{is_secure, without_secrets};
use crate::error::ClientError;
use crate::request::InvalidRequest;

/// The name of an audio in pyannoteAI's temporary storage: `media://` and a key of one's own choice.
///
/// It derefs to the whole name, which is what a request takes as its URL.
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
    /// Takes a key of 1 to 255 letters, digits, `-`, `_`, `.` and `/`, with or without `media://` before it.
    ///
    /// # Errors
    ///
    /// The key has another character or another length.
    pub fn new(key: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        let key = key.as_ref();
        let key = key.strip_prefix(SCHEME).unwrap_or(key);
        check_key("url", key)?;
        Ok(Self(format!("{SCHEME}{key}")))
    }

    /// Borrows the whole name, with `media://`.
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

/// An address in the storage that needs no API key: whoever has it may read or write the media for a while.
///
/// `Debug` leaves out the part that grants this.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(Url);

impl PresignedUrl {
    /// Borrows the whole URL; keep it out of logs.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    pub(crate) fn parse(url: &str, insecure_http: bool) -> Result<Self, ClientError> {
        let url =
            Url::parse(url).map_err(|_| ClientError::decode("the presigned url is no url"))?;
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
    if key.is_empty() {
        return Err(InvalidRequest::new(field, "has an empty media key"));
    }
    if key.len() > LONGEST_KEY {
        let reason = "has a media key of over 255 characters, give a shorter one";
        return Err(InvalidRequest::new(field, reason));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    if !key.bytes().all(allowed) {
        let reason = "has a media key of other than ascii letters, digits, `-`, `_`, `.` and `/`";
        return Err(InvalidRequest::new(field, reason));
    }
    Ok(())
}

pub(crate) const SCHEME: &str = "media://";
const LONGEST_KEY: usize = 255;
