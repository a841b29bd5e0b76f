use std::fmt;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tower_pyannote_inbox::InboxError;

use super::{html, meeting::NoMeeting, room::NoRoom};
use crate::{api::ErrorBody, error::in_full};

/// Why a request is refused before its content is read.
#[derive(Debug)]
pub(super) enum Refused {
    Unauthorized,
    NoUser,
    ForeignHost,
    OtherOrigin,
    NoCsrfToken,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorized => "log in, or send the page's token as `Authorization: Bearer TOKEN`",
            Self::NoUser => "the proxy's header with the name of the user is missing",
            Self::ForeignHost => {
                "without a token the page answers only to localhost, 127.0.0.1 and [::1]: use one of these names"
            }
            Self::OtherOrigin => "the request came from another site",
            Self::NoCsrfToken => {
                "the form's token is missing or of another session: reload the page and try again"
            }
        })
    }
}

/// Why a request fails.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request has a wrong value.
    Invalid(String),
    NotFound,
    /// The event is not in a state for the action.
    Conflict(&'static str),
    Unavailable(String),
}

impl Failed {
    pub(super) fn respond(&self, is_api: bool) -> Response {
        let (status, text) = match self {
            Self::Invalid(text) => (StatusCode::BAD_REQUEST, text.as_str()),
            Self::NotFound => (
                StatusCode::NOT_FOUND,
                "nothing found: the event may have been deleted, or it has no such part",
            ),
            Self::Conflict(text) => (StatusCode::CONFLICT, *text),
            Self::Unavailable(text) => (StatusCode::SERVICE_UNAVAILABLE, text.as_str()),
        };
        respond(status, text, is_api)
    }
}

impl From<InboxError> for Failed {
    fn from(error: InboxError) -> Self {
        let error = in_full(&error);
        tracing::error!(error, "the page cannot read the inbox");
        Self::Unavailable(format!("the inbox does not answer: {error}"))
    }
}

impl From<NoRoom> for Failed {
    fn from(_: NoRoom) -> Self {
        Self::Unavailable("other large events are being read: try again in a moment".to_owned())
    }
}

impl From<NoMeeting> for Failed {
    fn from(error: NoMeeting) -> Self {
        match error {
            NoMeeting::NoEvent | NoMeeting::NoTurns => Self::NotFound,
            NoMeeting::Inbox(error) => error.into(),
            NoMeeting::NoRoom(error) => error.into(),
            NoMeeting::Broken => Self::Unavailable("the output cannot be read".to_owned()),
        }
    }
}

pub(super) fn respond(status: StatusCode, text: &str, is_api: bool) -> Response {
    match is_api {
        true => {
            let error = text.to_owned();
            (status, Json(ErrorBody { error })).into_response()
        }
        false => (status, html::error(status, text)).into_response(),
    }
}

/// An error of a page.
#[derive(Debug)]
pub(super) struct PageFailed(pub(super) Failed);

impl IntoResponse for PageFailed {
    fn into_response(self) -> Response {
        self.0.respond(false)
    }
}

/// An error of the JSON interface.
#[derive(Debug)]
pub(super) struct ApiFailed(pub(super) Failed);

impl IntoResponse for ApiFailed {
    fn into_response(self) -> Response {
        self.0.respond(true)
    }
}

impl<T: Into<Failed>> From<T> for PageFailed {
    fn from(error: T) -> Self {
        Self(error.into())
    }
}

impl<T: Into<Failed>> From<T> for ApiFailed {
    fn from(error: T) -> Self {
        Self(error.into())
    }
}
