//! A meeting as a timeline.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Path, Query, State},
};
use tokio::task;

use super::Answer;
use crate::page::{
    PageState, access::Visitor, error::Failed, html, json::Part, meeting::View, read::broken,
};

/// Shows a meeting.
pub(in crate::page) async fn meeting(
    State(state): State<Arc<PageState>>,
    Extension(visitor): Extension<Visitor>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    let meeting = state.meeting(&id).await?;
    let view = View::new(meeting.duration(), part.from, part.to, 1_000);
    let drawn = task::spawn_blocking(move || {
        let window = meeting.window(view);
        let texts = meeting.texts(window.from, window.to, html::MOST_TEXTS);
        (window, texts)
    });
    let (window, texts) = drawn.await.map_err(|_| broken())?;
    let has_recording = details.media.is_some() && state.recordings.is_some();
    Ok(html::meeting(
        &details.entry,
        has_recording,
        &window,
        texts.as_deref(),
        &visitor,
    ))
}

/// Draws a part of a meeting, for a page that zooms.
pub(in crate::page) async fn timeline(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer {
    let meeting = state.meeting(&id).await?;
    let width = part.buckets.unwrap_or(1_000).clamp(200, 4_000);
    let view = View::new(meeting.duration(), part.from, part.to, width);
    let drawn = task::spawn_blocking(move || {
        let window = meeting.window(view);
        let texts = meeting.texts(window.from, window.to, html::MOST_TEXTS);
        html::part(&window, texts.as_deref(), width)
    });
    Ok(drawn.await.map_err(|_| broken())?)
}
