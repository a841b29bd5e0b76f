use std::sync::Arc;

use axum::{Router, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tower::ServiceBuilder;
use tower_pyannote::{PyannoteSignatureLayer, SecretSet, layer::ByteBudget};
use tower_pyannote_inbox::Inbox;

use crate::{
    endpoints::{HEALTH, INDEX, METRICS, WEBHOOK},
    health::{Health, InboxCounts},
    limits::BYTE_BUDGET,
    pages,
    state::{Answers, State},
    store::Store,
};

/// Returns the service behind all endpoints.
pub(crate) fn router(
    secrets: SecretSet,
    inbox: Inbox,
    store: Store,
    metrics: PrometheusHandle,
) -> Router {
    let webhook = inbox.service();
    let state = Arc::new(State {
        answers: Answers::default(),
        health: Health::new(inbox.clone(), Arc::clone(store.object_store())),
        inbox: InboxCounts::new(inbox),
        metrics,
    });
    let counted = Arc::clone(&state);
    let layer = ByteBudget::new(BYTE_BUDGET)
        .and_then(|budget| PyannoteSignatureLayer::new(secrets).with_byte_budget(budget))
        .expect("the budget is above the body limit");
    let webhook = ServiceBuilder::new()
        .map_response(move |response| {
            counted.answers.count(&response);
            response
        })
        .layer(layer)
        .service(webhook);

    Router::new()
        .route_service(WEBHOOK, webhook)
        .route(INDEX, get(pages::index))
        .route(HEALTH, get(pages::health))
        .route(METRICS, get(pages::metrics))
        .with_state(state)
}
