//! The web page: the events, the meetings as timelines, and the actions on events.

mod access;
mod actions;
mod assets;
mod audio;
mod confirmed;
mod diagnose;
mod error;
mod flags;
mod headers;
mod html;
mod json;
mod live;
mod meeting;
mod mount;
mod number;
mod openapi;
mod origin;
mod overview;
mod pages;
mod query;
mod read;
mod refusals;
mod room;
mod settings;
mod token;

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use jiff::Timestamp;
use tokio::sync::{Semaphore, watch};
use tower_pyannote_inbox::Inbox;

use self::{
    access::Access,
    audio::Recordings,
    live::Live,
    meeting::Meetings,
    room::{Beginnings, Room},
};
pub(crate) use self::{
    flags::{About, PageFlags, print_token},
    mount::{Mounted, mount},
    overview::Overview,
    refusals::Refusals,
};
pub use self::{
    settings::{PageError, PageSettings},
    token::PageToken,
};
use crate::{cached::Cached, state::State};

/// The data behind the page.
pub(crate) struct PageState {
    inbox: Inbox,
    receiver: Arc<State>,
    overview: Overview,
    settings: PageSettings,
    access: Access,
    live: Arc<Live>,
    meetings: Meetings,
    arrivals: Cached<Vec<u64>>,
    started_at: Timestamp,
    /// One diagnosis at a time, because each takes a processor for seconds.
    diagnoses: Semaphore,
    /// One export at a time, because each takes several times the memory of its body.
    exports: Arc<Semaphore>,
    /// The memory that reads of bodies share.
    room: Room,
    beginnings: Beginnings,
    /// The recordings. `None` without an API key.
    recordings: Option<Recordings>,
}

impl PageState {
    /// `stopping` ends the streams of open pages when its sender is dropped.
    pub(crate) fn new(
        inbox: Inbox,
        receiver: Arc<State>,
        overview: Overview,
        settings: PageSettings,
        address: SocketAddr,
        stopping: watch::Receiver<()>,
    ) -> Self {
        let recordings = settings.client.clone().map(Recordings::new);
        Self {
            access: Access::new(&settings, address.port()),
            live: Arc::new(Live::new(inbox.clone(), stopping)),
            inbox,
            receiver,
            overview,
            settings,
            meetings: Meetings::default(),
            arrivals: Cached::default(),
            started_at: Timestamp::now(),
            diagnoses: Semaphore::new(1),
            exports: Arc::new(Semaphore::new(1)),
            room: Room::new(),
            beginnings: Beginnings::default(),
            recordings,
        }
    }
}

/// Returns the routes of the page, under `/page` and `/api/v1`.
pub(crate) fn router(state: PageState) -> Router {
    let state = Arc::new(state);
    let api = Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/session", get(json::session))
        .route("/events", get(json::events))
        .route("/events/{id}", get(json::event))
        .route("/events/{id}/body", get(json::body))
        .route("/events/{id}/meeting", get(json::meeting))
        .route("/events/{id}/audio", get(audio::audio))
        .route("/events/{id}/words", get(json::words))
        .route("/events/{id}/rttm", get(json::rttm))
        .route("/events/{id}/vtt", get(json::vtt))
        .route("/events/{id}/srt", get(json::srt))
        .route("/events/{id}/replay", post(json::replay))
        .route("/events/{id}/mark-handled", post(json::mark_handled))
        .route("/replay-dead", post(json::replay_dead))
        .route("/prune", post(json::prune))
        .route("/system", get(json::system))
        .route("/stream", get(live::stream));
    let page = Router::new()
        .route("/", get(pages::events))
        .route("/events/{id}", get(pages::event))
        .route("/events/{id}/meeting", get(pages::meeting))
        .route("/events/{id}/timeline", get(pages::timeline))
        .route("/events/{id}/replay", post(pages::replay))
        .route("/events/{id}/mark-handled", post(pages::mark_handled))
        .route("/replay-dead", post(pages::replay_dead))
        .route("/prune", post(pages::prune))
        .route("/system", get(pages::system))
        .route("/doctor", get(pages::doctor).post(pages::diagnose))
        .route("/login", get(pages::login).post(pages::log_in))
        .route("/logout", post(pages::log_out))
        .route("/assets/{version}/{name}", get(assets::serve));
    Router::new()
        .nest("/api/v1", api.fallback(json::not_found))
        .nest("/page", page.fallback(pages::not_found))
        .route("/page/", get(pages::to_events))
        .layer(DefaultBodyLimit::max(MAX_FORM))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&state),
            access::check,
        ))
        .layer(middleware::from_fn(headers::add))
        .with_state(state)
}

/// The largest form, which is that of the doctor.
const MAX_FORM: usize = 4 << 20;
