//! The JSON interface.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    response::Response,
};
use serde::Deserialize;
use tokio::task;
use tower_pyannote::WebhookEvent;
use utoipa::{IntoParams, ToSchema};

use super::{
    PageState,
    access::Visitor,
    actions,
    confirmed::ConfirmedJson,
    error::{ApiFailed, Failed},
    meeting::View,
    query::EventQuery,
    read::{broken, download},
    room::held,
};
use crate::api::{
    Done, ErrorBody, EventDetails, EventPage, EventSummary, MeetingWindow, SessionInfo, System,
    Words,
};

type Answer<T> = Result<Json<T>, ApiFailed>;

/// Who asks, and the token that actions need
#[utoipa::path(get, path = "/api/v1/session", tag = "system", responses((status = 200, body = SessionInfo)))]
pub(super) async fn session(Extension(visitor): Extension<Visitor>) -> Json<SessionInfo> {
    Json(SessionInfo {
        who: visitor.who,
        csrf_token: visitor.csrf_token,
    })
}

/// List events, newest first
#[utoipa::path(get, path = "/api/v1/events", tag = "events", params(EventQuery), responses((status = 200, body = EventPage), (status = 400, body = ErrorBody)))]
pub(super) async fn events(
    State(state): State<Arc<PageState>>,
    Query(query): Query<EventQuery>,
) -> Answer<EventPage> {
    let (entries, newer, older) = state.page(&query).await?;
    Ok(Json(EventPage {
        events: entries.iter().map(EventSummary::from).collect(),
        newer,
        older,
    }))
}

/// Show an event with the results of its handlers
#[utoipa::path(get, path = "/api/v1/events/{id}", tag = "events", responses((status = 200, body = EventDetails), (status = 404, body = ErrorBody)))]
pub(super) async fn event(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
) -> Answer<EventDetails> {
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    Ok(Json(EventDetails::from(&details)))
}

/// Download the body, byte for byte as received
#[utoipa::path(get, path = "/api/v1/events/{id}/body", tag = "events", responses((status = 200, content_type = "application/json"), (status = 404, body = ErrorBody)))]
pub(super) async fn body(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
) -> Result<Response, ApiFailed> {
    let (event, reserved) = state.event(&id).await?;
    let body = held(event.raw().clone(), reserved);
    Ok(download(event.job_id(), "json", "application/json", body))
}

/// A part of a meeting.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// Seconds from the start of the recording. Default: 0.
    pub(super) from: Option<f64>,
    /// Seconds from the start of the recording. Default: the end.
    pub(super) to: Option<f64>,
    /// How many parts of time a screen can show, at most 4,000. Default: 1,000.
    pub(super) buckets: Option<usize>,
}

/// Show a part of a meeting, reduced to what a screen can show
#[utoipa::path(get, path = "/api/v1/events/{id}/meeting", tag = "meetings", params(Part), responses((status = 200, body = MeetingWindow), (status = 404, body = ErrorBody)))]
pub(super) async fn meeting(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer<MeetingWindow> {
    let meeting = state.meeting(&id).await?;
    let view = View::new(
        meeting.duration(),
        part.from,
        part.to,
        part.buckets.unwrap_or(1_000),
    );
    let window = task::spawn_blocking(move || meeting.window(view)).await;
    Ok(Json(window.map_err(|_| broken())?))
}

/// Show the words of a part of a meeting, at most 500
#[utoipa::path(get, path = "/api/v1/events/{id}/words", tag = "meetings", params(Part), responses((status = 200, body = Vec<Words>), (status = 404, body = ErrorBody)))]
pub(super) async fn words(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    Query(part): Query<Part>,
) -> Answer<Vec<Words>> {
    let meeting = state.meeting(&id).await?;
    let (from, to) = (part.from.unwrap_or(0.0), part.to.unwrap_or(f64::MAX));
    let words = meeting.words(from, to, 500);
    let too_many = "there are more than 500 words: choose a shorter part";
    Ok(Json(
        words.ok_or_else(|| Failed::Invalid(too_many.to_owned()))?,
    ))
}

/// Download the turns as RTTM
#[utoipa::path(get, path = "/api/v1/events/{id}/rttm", tag = "meetings", responses((status = 200, content_type = "text/plain"), (status = 404, body = ErrorBody)))]
pub(super) async fn rttm(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
) -> Result<Response, ApiFailed> {
    state
        .export(&id, "rttm", "text/plain; charset=utf-8", to_rttm)
        .await
}

/// Download the transcript as WebVTT
#[utoipa::path(get, path = "/api/v1/events/{id}/vtt", tag = "meetings", responses((status = 200, content_type = "text/vtt"), (status = 404, body = ErrorBody)))]
pub(super) async fn vtt(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
) -> Result<Response, ApiFailed> {
    let to_vtt = |event: &WebhookEvent| transcript(event).map(|it| it.to_webvtt());
    state
        .export(&id, "vtt", "text/vtt; charset=utf-8", to_vtt)
        .await
}

/// Download the transcript as SRT
#[utoipa::path(get, path = "/api/v1/events/{id}/srt", tag = "meetings", responses((status = 200, content_type = "application/x-subrip"), (status = 404, body = ErrorBody)))]
pub(super) async fn srt(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
) -> Result<Response, ApiFailed> {
    let to_srt = |event: &WebhookEvent| transcript(event).map(|it| it.to_srt());
    state
        .export(&id, "srt", "application/x-subrip; charset=utf-8", to_srt)
        .await
}

/// Which handlers run again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct ReplayRequest {
    /// Run all handlers, not only those that have not succeeded. Default: false.
    all_handlers: bool,
}

/// Make an event due again
#[utoipa::path(post, path = "/api/v1/events/{id}/replay", tag = "actions", request_body = ReplayRequest, responses((status = 200, body = Done), (status = 409, body = ErrorBody)))]
pub(super) async fn replay(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    request: ConfirmedJson<ReplayRequest>,
) -> Answer<Done> {
    let all_handlers = request.body.all_handlers;
    actions::replay(&state.inbox, &request.visitor, &id, all_handlers).await?;
    Ok(Json(Done { events: 1 }))
}

/// Why a dead event needs no handler.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct MarkRequest {
    reason: String,
}

/// Mark a dead event as handled
#[utoipa::path(post, path = "/api/v1/events/{id}/mark-handled", tag = "actions", request_body = MarkRequest, responses((status = 200, body = Done), (status = 409, body = ErrorBody)))]
pub(super) async fn mark_handled(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    request: ConfirmedJson<MarkRequest>,
) -> Answer<Done> {
    actions::mark_handled(&state.inbox, &request.visitor, &id, &request.body.reason).await?;
    Ok(Json(Done { events: 1 }))
}

/// Make all dead events due again that the query selects
#[utoipa::path(post, path = "/api/v1/replay-dead", tag = "actions", params(EventQuery), responses((status = 200, body = Done), (status = 400, body = ErrorBody)))]
pub(super) async fn replay_dead(
    State(state): State<Arc<PageState>>,
    Query(query): Query<EventQuery>,
    request: ConfirmedJson<serde::de::IgnoredAny>,
) -> Answer<Done> {
    let events = actions::replay_dead(&state.inbox, &request.visitor, &query).await?;
    Ok(Json(Done { events }))
}

/// How old the events are that are removed.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct PruneRequest {
    /// The days since the event was handled.
    days: u32,
}

/// Remove handled events
#[utoipa::path(post, path = "/api/v1/prune", tag = "actions", request_body = PruneRequest, responses((status = 200, body = Done)))]
pub(super) async fn prune(
    State(state): State<Arc<PageState>>,
    request: ConfirmedJson<PruneRequest>,
) -> Answer<Done> {
    let events = actions::prune(&state.inbox, &request.visitor, request.body.days).await?;
    Ok(Json(Done { events }))
}

/// Show the state of the receiver
#[utoipa::path(get, path = "/api/v1/system", tag = "system", responses((status = 200, body = System)))]
pub(super) async fn system(State(state): State<Arc<PageState>>) -> Json<System> {
    Json(state.system().await)
}

pub(super) async fn not_found() -> ApiFailed {
    ApiFailed(Failed::NotFound)
}

fn to_rttm(event: &WebhookEvent) -> Option<String> {
    let output = event.output()?;
    let identified = output.as_identification().map(|output| output.turns());
    let turns = match output.as_diarization() {
        Some(output) => &output.diarization,
        None => &identified?,
    };
    Some(turns.to_rttm(event.job_id()))
}

/// Returns the text of turns, or the words if there is none.
fn transcript(event: &WebhookEvent) -> Option<&tower_pyannote::event::Transcript> {
    let output = event.output()?.as_diarization()?;
    let candidates = [
        &output.turn_level_transcription,
        &output.word_level_transcription,
    ];
    candidates
        .into_iter()
        .find(|transcript| !transcript.is_empty())
}
