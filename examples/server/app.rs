use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Router,
    http::{Response, StatusCode},
    routing::get,
};
use metrics_exporter_prometheus::PrometheusHandle;
use object_store::ObjectStore;
use tower::ServiceBuilder;
use tower_pyannote::{Inbox, PyannoteSignatureLayer, Rejection, SecretSet};

use crate::{
    pages,
    storage::{Counted, Health},
};

/// What the pages tell of.
pub(crate) struct App {
    pub(crate) counts: Counts,
    pub(crate) health: Health,
    pub(crate) inbox: Counted,
    pub(crate) metrics: PrometheusHandle,
}

/// The answers to deliveries since the server was started.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failed: AtomicU64,
}

impl Counts {
    fn add<B>(&self, response: &Response<B>) {
        let count = if response.extensions().get::<Rejection>().is_some() {
            &self.refused
        } else if response.status() == StatusCode::OK {
            &self.accepted
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Everything the server answers.
pub(crate) fn router(
    secrets: SecretSet,
    inbox: Inbox,
    store: Arc<dyn ObjectStore>,
    metrics: PrometheusHandle,
) -> Router {
    let webhook = inbox.service();
    let app = Arc::new(App {
        counts: Counts::default(),
        health: Health::of(inbox.clone(), store),
        inbox: Counted::of(inbox),
        metrics,
    });
    let counted = Arc::clone(&app);
    let webhook = ServiceBuilder::new()
        .map_response(move |response| {
            counted.counts.add(&response);
            response
        })
        .layer(PyannoteSignatureLayer::new(secrets))
        .service(webhook);

    Router::new()
        .route_service("/webhook", webhook)
        .route("/", get(pages::index))
        .route("/health", get(pages::health))
        .route("/metrics", get(pages::metrics))
        .with_state(app)
}
