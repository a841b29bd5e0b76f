use std::fmt;

use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::event::EventError;
use crate::verifier::VerifyError;

/// The reason for which [`VerifySignature`](super::VerifySignature) refused a request.
///
/// The layer adds the reason to the extensions of the response, so that outer layers can read it. The sender sees only
/// the status. The reason holds no byte of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The method is not `POST`: 405.
    MethodNotAllowed,
    /// The headers or the signature are not valid: 400 if a header is malformed or duplicate, else 401.
    Unverified(VerifyError),
    /// The body, or its announced length, is over the limit: 413.
    BodyTooLarge,
    /// The body stalled, was under the least rate or took too long: 408.
    BodyTimeout,
    /// The connection failed before the body ended: 400.
    BodyBroken,
    /// The body waited too long for the byte budget: 503.
    Overloaded,
    /// The signature matched, but the body is not JSON that names a job: 400.
    Malformed(EventError),
}

impl Rejection {
    /// Returns the status of the default response.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unverified(
                VerifyError::DuplicateTimestamp
                | VerifyError::DuplicateSignature
                | VerifyError::MalformedTimestamp
                | VerifyError::MalformedSignature,
            ) => StatusCode::BAD_REQUEST,
            Self::Unverified(_) => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyBroken | Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the label for metrics and logs, in snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Unverified(error) => error.as_str(),
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTimeout => "body_timeout",
            Self::BodyBroken => "body_broken",
            Self::Overloaded => "overloaded",
            Self::Malformed(error) => error.as_str(),
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MethodNotAllowed => f.write_str("the method is not POST"),
            Self::Unverified(error) => error.fmt(f),
            Self::BodyTooLarge => f.write_str("the body is longer than the body limit"),
            Self::BodyTimeout => f.write_str("the body arrived too slowly"),
            Self::BodyBroken => f.write_str("the connection failed before the body ended"),
            Self::Overloaded => {
                f.write_str("other bodies used up the byte budget; raise it if this repeats")
            }
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Rejection {}

/// Builds the response to a refused request.
///
/// Closures `FnMut(Rejection) -> Response<B>` implement this trait. The response may go to an attacker, so it should
/// say no more than the status. Do not answer with a redirect, because pyannoteAI follows it, nor with 2xx, because
/// pyannoteAI then ends its retries. The layer adds the [`Rejection`] to the response's extensions.
pub trait ResponseForRejection<B> {
    /// Returns the response to a request that was refused for this reason.
    fn response_for_rejection(&mut self, rejection: Rejection) -> Response<B>;
}

impl<F, B> ResponseForRejection<B> for F
where
    F: FnMut(Rejection) -> Response<B>,
{
    fn response_for_rejection(&mut self, rejection: Rejection) -> Response<B> {
        self(rejection)
    }
}

/// The default response to refusals: [`Rejection::status`] and an empty body, with `Allow` at 405 and `Retry-After` at 503.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultResponseForRejection;

impl<B: Default> ResponseForRejection<B> for DefaultResponseForRejection {
    fn response_for_rejection(&mut self, rejection: Rejection) -> Response<B> {
        let mut response = Response::new(B::default());
        *response.status_mut() = rejection.status();
        let header = match rejection {
            Rejection::MethodNotAllowed => Some((ALLOW, HeaderValue::from_static("POST"))),
            Rejection::Overloaded => Some((RETRY_AFTER, HeaderValue::from_static("5"))),
            _ => None,
        };
        response.headers_mut().extend(header);
        response
    }
}
