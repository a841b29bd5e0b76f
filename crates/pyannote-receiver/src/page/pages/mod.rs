//! The pages as HTML.

mod doctor;
mod events;
mod forms;
mod login;
mod meeting;

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Query, State},
    response::Redirect,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

pub(super) use self::{
    doctor::{diagnose, doctor},
    events::{event, events},
    forms::{mark_handled, prune, replay, replay_dead},
    login::{log_in, log_out, login},
    meeting::{meeting, timeline},
};
use super::{
    PageState,
    access::Visitor,
    error::{Failed, PageFailed},
    html::{self, Page},
};

type Answer = Result<Page, PageFailed>;

/// A note about the last action, shown once.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Notice {
    notice: String,
}

pub(super) async fn to_events() -> Redirect {
    Redirect::to("/page")
}

pub(super) async fn system(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Query(notice): Query<Notice>,
) -> Page {
    html::system(&state.system().await, &visitor, &notice.notice)
}

pub(super) async fn not_found() -> PageFailed {
    PageFailed(Failed::NotFound)
}

fn back(address: &str, notice: &str) -> Redirect {
    let join = if address.contains('?') { '&' } else { '?' };
    let notice = utf8_percent_encode(notice, NON_ALPHANUMERIC);
    Redirect::to(&format!("{address}{join}notice={notice}"))
}

fn event_address(id: &str) -> String {
    format!("/page/events/{}", utf8_percent_encode(id, NON_ALPHANUMERIC))
}
