use std::fmt;

use super::Text;

/// The number of a retry, and its reason.
///
/// Both come from headers that are not signed. Count and log them, but base no decision on them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retry {
    /// The number of the retry; pyannoteAI sends 1 to 3.
    pub number: u32,
    /// Why the previous attempt failed, if pyannoteAI sent it.
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
    /// Returns `None` without a usable number: absent, zero, more than ten digits, or not only digits. An unknown reason is kept
    /// by name: at most 64 characters, with `?` for each byte that is not printable ASCII.
    #[must_use]
    pub fn from_headers(number: Option<&[u8]>, reason: Option<&[u8]>) -> Option<Self> {
        let number = retry_number(number?.trim_ascii())?;
        let reason = reason
            .map(<[u8]>::trim_ascii)
            .filter(|reason| !reason.is_empty());
        Some(Self::new(number, reason.map(RetryReason::from_bytes)))
    }
}

/// Why pyannoteAI retries a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RetryReason {
    /// The receiver did not answer within 10 s.
    HttpTimeout,
    /// The receiver redirected more than twice.
    TooManyRedirects,
    /// The connection failed.
    ConnectionFailed,
    /// The TLS handshake or the certificate failed.
    SslError,
    /// The answer was not 2xx.
    HttpError,
    /// pyannoteAI does not know the reason.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_reason_is_typed() {
        let reasons = [
            ("http_timeout", RetryReason::HttpTimeout),
            ("too_many_redirects", RetryReason::TooManyRedirects),
            ("connection_failed", RetryReason::ConnectionFailed),
            ("ssl_error", RetryReason::SslError),
            ("http_error", RetryReason::HttpError),
            ("unknown_error", RetryReason::UnknownError),
        ];
        for (name, reason) in reasons {
            let retry = Retry::from_headers(Some(b"2"), Some(name.as_bytes()));
            assert_eq!(retry, Some(Retry::new(2, Some(reason.clone()))));
            assert_eq!(reason.to_string(), name);
        }
    }

    #[test]
    fn unknown_reason_is_kept_by_name() {
        let retry = Retry::from_headers(Some(b"1"), Some(b"solar_flare")).unwrap();
        assert_eq!(retry.reason, Some(RetryReason::Other("solar_flare".into())));
        assert_eq!(retry.reason.unwrap().as_str(), "solar_flare");
    }

    #[test]
    fn unprintable_or_long_reason_is_made_safe() {
        let retry = Retry::from_headers(Some(b"1"), Some(b"a\x1b[31m\xff\nb")).unwrap();
        assert_eq!(retry.reason.unwrap().as_str(), "a?[31m??b");
        let retry = Retry::from_headers(Some(b"1"), Some(&[b'x'; 10_000])).unwrap();
        assert_eq!(retry.reason.unwrap().as_str(), "x".repeat(64));
    }

    #[test]
    fn blank_reason_is_none() {
        assert_eq!(
            Retry::from_headers(Some(b"3"), Some(b"  ")),
            Some(Retry::new(3, None))
        );
        assert_eq!(
            Retry::from_headers(Some(b"3"), None),
            Some(Retry::new(3, None))
        );
    }

    #[test]
    fn number_decides_whether_it_is_a_retry() {
        let numbers: [(&[u8], Option<u32>); 12] = [
            (b"1", Some(1)),
            (b" 3 ", Some(3)),
            (b"007", Some(7)),
            (b"4294967295", Some(u32::MAX)),
            (b"4294967296", None),
            (b"00000000001", None),
            (b"0", None),
            (b"", None),
            (b"-1", None),
            (b"+1", None),
            (b"1.0", None),
            (b"\xff", None),
        ];
        for (header, number) in numbers {
            let retry = Retry::from_headers(Some(header), Some(b"http_error"));
            assert_eq!(retry.map(|retry| retry.number), number, "{header:?}");
        }
        assert_eq!(Retry::from_headers(None, Some(b"http_error")), None);
    }
}
