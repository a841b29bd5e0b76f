use axum::Json;
use utoipa::OpenApi;

use super::{audio, json, live};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "pyannote-receiver",
        description = "The events of the receiver's inbox, the meetings in them, and what an operator does. Actions need the header \
            `x-csrf-token` of `/api/v1/session`, or the page's token as `Authorization: Bearer TOKEN`.",
    ),
    paths(
        json::session,
        json::events,
        json::event,
        json::body,
        json::meeting,
        json::words,
        audio::audio,
        json::rttm,
        json::vtt,
        json::srt,
        json::replay,
        json::mark_handled,
        json::replay_dead,
        json::prune,
        json::system,
        live::stream,
    )
)]
struct Document;

/// The OpenAPI document.
pub(super) async fn document() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
