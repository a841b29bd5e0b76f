use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use axum::http::{Response, StatusCode};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_pyannote::layer::Rejection;

use crate::{
    endpoints::Endpoint,
    health::{Health, InboxCounts},
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
    /// The last refusals, the newest last.
    refusals: Mutex<VecDeque<(Timestamp, Rejection)>>,
}

impl Answers {
    pub(crate) fn count<B>(&self, response: &Response<B>) {
        let counter = if let Some(rejection) = response.extensions().get::<Rejection>() {
            self.note(*rejection);
            &self.refused
        } else if response.status() == StatusCode::OK {
            &self.accepted
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, rejection: Rejection) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() == MOST_REFUSALS {
            refusals.pop_front();
        }
        refusals.push_back((Timestamp::now(), rejection));
    }

    /// Returns the last refusals, the newest first. They have no byte of the request.
    #[cfg(feature = "page")]
    pub(crate) fn refusals(&self) -> Vec<crate::api::Refusal> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = refusals.iter().rev();
        refusals
            .map(|(at, rejection)| crate::api::Refusal {
                at: crate::api::stamp(*at),
                status: rejection.status().as_u16(),
                reason: rejection.as_str(),
            })
            .collect()
    }
}

/// How many refusals the page shows.
const MOST_REFUSALS: usize = 20;
