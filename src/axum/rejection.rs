use std::fmt;

use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::event::WrongKind;

/// There is no event in the request's extensions, because the layer is not around this route. Answered with 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MissingEvent;

/// Why a [`TypedEvent`](crate::TypedEvent) was not extracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TypedEventRejection {
    /// There is no event. Answered with 500.
    MissingEvent(MissingEvent),
    /// The event is of another kind. Answered with 422.
    WrongKind(WrongKind),
}

/// Why an [`AckOthers`](super::AckOthers) did not call its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AckOthersRejection {
    /// There is no event. Answered with 500.
    MissingEvent(MissingEvent),
    /// The event is of another kind. Answered with 200.
    Acknowledged(WrongKind),
}

impl MissingEvent {
    /// Returns the status of the response: 500.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl TypedEventRejection {
    /// Returns the status of the response: 500 or 422.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingEvent(error) => error.status(),
            Self::WrongKind(_) => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }
}

impl AckOthersRejection {
    /// Returns the status of the response: 500 or 200.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MissingEvent(error) => error.status(),
            Self::Acknowledged(_) => StatusCode::OK,
        }
    }
}

impl fmt::Display for MissingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no webhook event: put PyannoteSignatureLayer around this route")
    }
}

impl fmt::Display for TypedEventRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEvent(error) => error.fmt(f),
            Self::WrongKind(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for AckOthersRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingEvent(error) => error.fmt(f),
            Self::Acknowledged(error) => error.fmt(f),
        }
    }
}

macro_rules! rejections {
    ($($rejection:ident)*) => {$(
        impl $rejection {
            /// Returns the reason as text, for a response of your own.
            ///
            /// The default response has an empty body, because pyannoteAI does not read it.
            #[must_use]
            pub fn body_text(&self) -> String {
                self.to_string()
            }
        }

        impl std::error::Error for $rejection {}

        impl IntoResponse for $rejection {
            fn into_response(self) -> Response {
                self.status().into_response()
            }
        }
    )*};
}

rejections! { MissingEvent TypedEventRejection AckOthersRejection }
