//! The list of events, and one event.

use std::{sync::Arc, time::SystemTime};

use axum::{
    Extension,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use http::StatusCode;
use tokio::task;
use tower_pyannote::Kind;
use tower_pyannote_inbox::InboxDetails;

use super::{Answer, Notice};
use crate::page::{
    PageState,
    access::Visitor,
    error::{Failed, PageFailed},
    html,
    meeting::{NoMeeting, View},
    query::EventQuery,
    read::broken,
};

/// Lists events.
pub(in crate::page) async fn events(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Query(notice): Query<Notice>,
    Query(query): Query<EventQuery>,
) -> Result<Response, PageFailed> {
    let stats = state.inbox.stats().await?;
    let (listed, wrong) = match state.page(&query).await {
        Ok(listed) => (listed, None),
        Err(Failed::Invalid(wrong)) => (<_>::default(), Some(wrong)),
        Err(failed) => return Err(PageFailed(failed)),
    };
    let (entries, newer, older) = listed;
    let list = html::List {
        query: &query,
        stats: &stats,
        arrivals: &state.arrivals().await,
        entries: &entries,
        newer: newer.as_deref(),
        older: older.as_deref(),
        wrong: wrong.as_deref(),
        now: SystemTime::now(),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |_| StatusCode::BAD_REQUEST);
    let page = html::events(&list, &visitor, &notice.notice);
    Ok((status, page).into_response())
}

/// Shows an event.
pub(in crate::page) async fn event(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(notice): Query<Notice>,
) -> Answer {
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    let is_large = details.entry.bytes > MOST_SHOWN;
    let (raw, unreadable) = match state.beginnings.get(details.sha256) {
        Some(raw) => (raw, None),
        None => beginning(&state, &id, &details).await?,
    };
    let may_have_turns = matches!(
        details.entry.kind,
        Some(Kind::Diarization | Kind::Identification)
    );
    let meeting = match may_have_turns {
        true => state.meeting(&id).await,
        false => Err(NoMeeting::NoTurns),
    };
    let preview = match meeting {
        Ok(meeting) => {
            let view = View::new(meeting.duration(), None, None, 600);
            let window = task::spawn_blocking(move || meeting.window(view)).await;
            Some(window.map_err(|_| broken())?)
        }
        Err(NoMeeting::NoRoom(error)) => return Err(error.into()),
        Err(NoMeeting::Inbox(_) | NoMeeting::NoEvent | NoMeeting::NoTurns | NoMeeting::Broken) => {
            None
        }
    };
    let shown = html::Shown {
        details: &details,
        raw: &raw,
        is_cut: is_large,
        unreadable: unreadable.as_deref(),
        preview: preview.as_ref(),
        now: SystemTime::now(),
    };
    Ok(html::event(&shown, &visitor, &notice.notice))
}

/// Returns the beginning of a body, or an error to show in its place.
async fn beginning(
    state: &PageState,
    id: &str,
    details: &InboxDetails,
) -> Result<(Arc<str>, Option<String>), Failed> {
    let _reserved = state.room.reserve(details.entry.bytes).await?;
    match state.inbox.event(id).await {
        Ok(Some(event)) => {
            let shown = usize::try_from(MOST_SHOWN).unwrap_or(usize::MAX);
            let raw = event.raw().get(..shown).unwrap_or(event.raw());
            let raw: Arc<str> = String::from_utf8_lossy(raw).into();
            state.beginnings.keep(details.sha256, &raw);
            Ok((raw, None))
        }
        Ok(None) => Err(Failed::NotFound),
        Err(error) => Ok((Arc::default(), Some(crate::error::in_full(&error)))),
    }
}

/// The number of bytes of a body that a page shows.
const MOST_SHOWN: u64 = 64 << 10;
