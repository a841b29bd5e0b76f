//! The pages as HTML. maud escapes every value, because labels, transcripts and errors may be hostile.

mod event;
mod layout;
mod list;
mod meeting;
mod plain;
mod svg;
mod system;
mod text;

use axum::response::{Html, IntoResponse, Response};
use maud::Markup;

pub(super) use self::{
    event::{Shown, event},
    list::{List, events},
    meeting::{MOST_TEXTS, meeting, part},
    plain::{doctor, error, login},
    system::system,
};

/// A page, or a part of one.
#[derive(Debug)]
pub(super) struct Page(Markup);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        Html(self.0.into_string()).into_response()
    }
}
