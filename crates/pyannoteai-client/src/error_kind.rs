use std::fmt;

use http::StatusCode;

/// The category of a [`ClientError`](crate::ClientError).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClientErrorKind {
    /// The request violates a limit of the API and was not sent.
    InvalidRequest,
    /// The API rejected the request: 400.
    Rejected,
    /// The API key is invalid: 401.
    Unauthorized,
    /// The team's account needs a payment: 402.
    PaymentRequired,
    /// The API key lacks a scope: 403.
    ///
    /// Submissions need `jobs:write`, reads of jobs `jobs:read`, uploads `media:write` and downloads `media:read`. Make a
    /// key with these scopes in pyannoteAI's dashboard.
    Forbidden,
    /// The job or media does not exist, or not any more: 404 or 410.
    ///
    /// Check the id or key, and that the API key is of the team that submitted or uploaded it. pyannoteAI deletes outputs
    /// 24 h after the end of a job, and media after about 48 h. A base URL with a wrong path has the same status.
    NotFound,
    /// The API's rate limit was exceeded, and the retries did not help: 429.
    RateLimited,
    /// The API failed: 500 and above.
    Server,
    /// The response has a status that the API does not document, such as a redirect.
    UnexpectedStatus,
    /// The body of the response is not what the API documents.
    Decode,
    /// The response exceeds its size limit.
    TooLarge,
    /// The connection could not be made.
    Connect,
    /// The response did not arrive in time, or a transfer stalled.
    Timeout,
    /// The connection broke.
    Transport,
    /// The storage behind a presigned URL refused the request.
    Storage,
    /// The media to upload could not be read, or a download could not be written.
    Io,
    /// The submission log could not record a submission with a reference or metadata, so the request was not sent.
    NotRecorded,
}

impl ClientErrorKind {
    /// Returns the kind as a word in snake case, for a metric's label.
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
            Self::NotRecorded => "not_recorded",
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

    /// Returns whether the same request may succeed later.
    pub(crate) const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connect | Self::Timeout | Self::Transport | Self::Server | Self::RateLimited
        )
    }

    pub(crate) const fn describe(self) -> &'static str {
        match self {
            Self::InvalidRequest => "the request violates an api limit and was not sent",
            Self::Rejected => "the api rejected the request",
            Self::Unauthorized => "the api key is invalid: copy it from the dashboard",
            Self::PaymentRequired => "the api asks for a payment: see the team's billing",
            Self::Forbidden => {
                "the api key lacks a scope: make one with jobs:read, jobs:write, media:read and media:write in the dashboard"
            }
            Self::NotFound => {
                "not found: check the id and the api key's team; outputs are deleted 24 h after the end of a job"
            }
            Self::RateLimited => "too many requests: lower the rate or wait",
            Self::Server => "the api failed",
            Self::UnexpectedStatus => "the response has an undocumented status: check the base url",
            Self::Decode => "the response is not what the api documents",
            Self::TooLarge => "the response exceeds the size limit: raise the limit",
            Self::Connect => "could not connect",
            Self::Timeout => "the request timed out",
            Self::Transport => "the connection broke",
            Self::Storage => "the media storage refused the request",
            Self::Io => "the media could not be read or written",
            Self::NotRecorded => {
                "the submission log failed, so the job was not submitted: submit it again"
            }
        }
    }
}

impl fmt::Display for ClientErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
