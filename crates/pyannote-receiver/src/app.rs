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
use tower_pyannote::{
    PyannoteSignatureLayer, SecretSet,
    layer::{ByteBudget, Rejection},
};
use tower_pyannote_inbox::Inbox;

use crate::storage::{Counted, Health};
use crate::{connections::MAX_CONNECTIONS, pages, serve::READ_AT_ONCE};

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

/// Where deliveries arrive.
pub(crate) const WEBHOOK: &str = "/webhook";

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
    let layer = ByteBudget::new(BYTE_BUDGET)
        .and_then(|budget| PyannoteSignatureLayer::new(secrets).with_byte_budget(budget))
        .expect("the budget is over the body limit");
    let webhook = ServiceBuilder::new()
        .map_response(move |response| {
            counted.counts.add(&response);
            response
        })
        .layer(layer)
        .service(webhook);

    Router::new()
        .route_service(WEBHOOK, webhook)
        .route("/", get(pages::index))
        .route("/health", get(pages::health))
        .route("/metrics", get(pages::metrics))
        .with_state(app)
}

/// For all bodies in flight: with what connections hold beside this budget, they take at most 256 MiB.
const BYTE_BUDGET: usize = (256 << 20) - MAX_CONNECTIONS * BESIDE_BUDGET;

/// Bytes that a connection may hold and that the layer's budget does not count: the first 64 KiB of a body, and two frames.
/// One frame waits for the budget, and hyper has already read the next.
pub(crate) const BESIDE_BUDGET: usize = (64 << 10) + 2 * READ_AT_ONCE;
