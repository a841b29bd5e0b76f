use std::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use axum::http::{Response, StatusCode};
use metrics_exporter_prometheus::PrometheusHandle;
use tower_pyannote::layer::Rejection;

use crate::{
    endpoints::Endpoint,
    health::{Health, InboxCounts},
    page::Refusals,
};

/// The data behind the pages.
pub(crate) struct State {
    pub(crate) answers: Answers,
    pub(crate) health: Health,
    pub(crate) inbox: InboxCounts,
    pub(crate) metrics: PrometheusHandle,
    /// The endpoints that the status page lists.
    pub(crate) endpoints: &'static [Endpoint],
    /// Whether the web page is served.
    pub(crate) has_page: bool,
    /// Whether the receiver stops.
    pub(crate) draining: AtomicBool,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

/// The number of answers to deliveries since the start.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) refusals: Refusals,
}

impl Answers {
    pub(crate) fn count<B>(&self, response: &Response<B>) {
        let counter = if let Some(rejection) = response.extensions().get::<Rejection>() {
            self.refusals.note(*rejection);
            &self.refused
        } else if response.status() == StatusCode::OK {
            &self.accepted
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
