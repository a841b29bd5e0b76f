use std::fmt;

use super::Text;

/// Which repetition a delivery is, and why it was repeated.
///
/// This comes from headers that are not signed: count it and log it, but decide nothing by it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The number of the repetition; pyannoteAI sends 1 to 3.
    pub number: u32,
    /// Why the attempt before failed, if it was said.
    pub reason: Option<RetryReason>,
}

impl Retry {
    /// Creates a retry from its parts.
    #[must_use]
    pub const fn new(number: u32, reason: Option<RetryReason>) -> Self {
        Self { number, reason }
    }

    /// Reads the values of the headers `x-retry-num` and `x-retry-reason`.
    ///
    /// It returns `None` if there is no usable number: absent, zero, more than ten digits or
    /// anything else than digits. A reason that we do not know is kept by name, at most 64
    /// characters of it, with `?` for all that is not printable ASCII.
    #[must_use]
    pub fn from_headers(number: Option<&[u8]>, reason: Option<&[u8]>) -> Option<Self> {
        let number = retry_number(number?.trim_ascii())?;
        let reason = reason
            .map(<[u8]>::trim_ascii)
            .filter(|reason| !reason.is_empty());
        Some(Self::new(number, reason.map(RetryReason::from_bytes)))
    }
}

/// Why pyannoteAI repeats a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// No answer came in time (10 s).
    HttpTimeout,
    /// The receiver redirected more than twice.
    TooManyRedirects,
    /// No connection could be made.
    ConnectionFailed,
    /// The TLS handshake or the certificate failed.
    SslError,
    /// The answer was not 2xx.
    HttpError,
    /// pyannoteAI does not know.
    UnknownError,
    /// A reason that this crate does not know.
    Other(Text),
}

impl RetryReason {
    /// Returns the reason as pyannoteAI writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::HttpTimeout => "http_timeout",
            Self::TooManyRedirects => "too_many_redirects",
            Self::ConnectionFailed => "connection_failed",
            Self::SslError => "ssl_error",
            Self::HttpError => "http_error",
            Self::UnknownError => "unknown_error",
            Self::Other(reason) => reason,
        }
    }

    fn from_bytes(reason: &[u8]) -> Self {
        match reason {
            b"http_timeout" => Self::HttpTimeout,
            b"too_many_redirects" => Self::TooManyRedirects,
            b"connection_failed" => Self::ConnectionFailed,
            b"ssl_error" => Self::SslError,
            b"http_error" => Self::HttpError,
            b"unknown_error" => Self::UnknownError,
            other => Self::Other(printable(other).into()),
        }
    }
}

impl fmt::Display for RetryReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn retry_number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (number > 0).then_some(number)
}

fn printable(reason: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '?',
    };
    reason.iter().take(LONGEST_REASON).map(shown).collect()
}

const LONGEST_REASON: usize = 64;
