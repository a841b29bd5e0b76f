use std::fmt;

use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};

use crate::event::EventError;
use crate::verifier::VerifyError;

/// Why [`VerifySignature`](super::VerifySignature) refused a request.
///
/// It stands in the extensions of every refusal's response, whoever built that, so that surrounding layers can tell one
/// refusal from another; the sender is told the status alone. It holds static words only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The method is not `POST`: 405.
    MethodNotAllowed,
    /// The head or the signature is not good: 400 when malformed or sent twice, else 401.
    Unverified(VerifyError),
    /// The body is longer than the limit, or says it will be: 413.
    BodyTooLarge,
    /// The body stalled, crawled or took too long: 408.
    BodyTimeout,
    /// The body broke off: 400.
    BodyBroken,
    /// The bodies in flight used up the byte budget for too long: 503.
    Overloaded,
    /// The delivery is verified, but is not JSON that names a job: 400.
    Malformed(EventError),
}

impl Rejection {
    /// The status that the default response has.
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

    /// A word for it in snake case, as metrics and logs label it.
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
            Self::BodyTimeout => f.write_str("the body came too slowly"),
            Self::BodyBroken => f.write_str("the body broke off"),
            Self::Overloaded => f.write_str("the bodies in flight used up the byte budget"),
            Self::Malformed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Rejection {}

/// Builds the response to a refused request.
///
/// Closures of `FnMut(Rejection) -> Response<B>` are accepted. Whatever it answers goes to someone who may be an attacker:
/// it should tell no more than the status, be no redirect, which pyannoteAI would follow, and no 2xx, which pyannoteAI takes
/// for an accepted delivery. The layer adds the [`Rejection`] to the response's extensions by itself.
pub trait ResponseForRejection<B> {
    /// The response to a request refused for this reason.
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

/// The default refusal: [`Rejection::status`] and an empty body, `Allow` with 405, `Retry-After` with 503.
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
