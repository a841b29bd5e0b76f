use std::fmt;

use http::StatusCode;

/// The category of a [`ClientError`](crate::ClientError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// A limit was not kept, so nothing was sent.
    InvalidRequest,
    /// The API refused the request: 400.
    Rejected,
    /// The API key is not valid: 401.
    Unauthorized,
    /// The team has to pay first: 402.
    PaymentRequired,
    /// The API key may not do that: 403.
    Forbidden,
    /// There is no such job or media, or no longer: 404 or 410.
    NotFound,
    /// Too many requests were sent, and waiting did not help: 429.
    RateLimited,
    /// The API failed: 500 and above.
    Server,
    /// The answer has a status that the API does not document, a redirect among them.
    UnexpectedStatus,
    /// The answer is not what the API documents.
    Decode,
    /// The answer is over the limit.
    TooLarge,
    /// No connection could be made.
    Connect,
    /// The answer did not come in time.
    Timeout,
    /// The connection broke.
    Transport,
    /// The storage behind a presigned URL refused.
    Storage,
    /// What was to be uploaded could not be read, or a download not be written.
    Io,
}

impl ClientErrorKind {
    /// Returns one word for the kind, such as a metric's label needs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::PaymentRequired => "payment_required",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::RateLimited => "rate_limited",
            Self::Server => "server",
            Self::UnexpectedStatus => "unexpected_status",
            Self::Decode => "decode",
            Self::TooLarge => "too_large",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Transport => "transport",
            Self::Storage => "storage",
            Self::Io => "io",
        }
    }

    pub(crate) fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            400 => Self::Rejected,
            401 => Self::Unauthorized,
            402 => Self::PaymentRequired,
            403 => Self::Forbidden,
            404 | 410 => Self::NotFound,
            429 => Self::RateLimited,
            500.. => Self::Server,
            _ => Self::UnexpectedStatus,
        }
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::InvalidRequest => "the request keeps not to a limit and was not sent",
            Self::Rejected => "the api rejected the request",
            Self::Unauthorized => "the api key is not valid, copy it from the dashboard",
            Self::PaymentRequired => "the api asks for payment, see the team's billing",
            Self::Forbidden => "the api key does not allow this",
            Self::NotFound => "not found, outputs are deleted 24 h after completion",
            Self::RateLimited => "too many requests, lower the rate or wait",
            Self::Server => "the api failed",
            Self::UnexpectedStatus => "the answer has an undocumented status, check the base url",
            Self::Decode => "the answer is not as documented",
            Self::TooLarge => "the answer is over the limit, raise the limit",
            Self::Connect => "no connection could be made",
            Self::Timeout => "no answer came in time",
            Self::Transport => "the connection broke",
            Self::Storage => "the media storage refused",
            Self::Io => "the media could not be read or written",
        }
    }
}

impl fmt::Display for ClientErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
