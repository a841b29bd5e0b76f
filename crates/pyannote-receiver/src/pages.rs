use std::sync::{Arc, atomic::Ordering};

use axum::{
    Json, extract,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, VARY},
    },
    response::{Html, IntoResponse, Response},
};
use serde_json::json;

use crate::{index::Index, metrics, state::State};

/// Describes the receiver, to a browser or to a program.
pub(crate) async fn index(state: extract::State<Arc<State>>, headers: HeaderMap) -> Response {
    let counted = state.inbox.get().await;
    let index = Index::new(&state.answers, state.endpoints, counted, state.has_page);
    let page = if prefers(&headers, "text/html", "application/json") {
        Html(index.to_html()).into_response()
    } else {
        Json(index.to_json()).into_response()
    };
    ([VARY_ACCEPT], page).into_response()
}

/// Answers while the process runs. Reads nothing outside the process.
pub(crate) async fn live() -> &'static str {
    "ok\n"
}

/// Reports whether deliveries can be accepted. They cannot be while the receiver stops.
pub(crate) async fn ready(state: extract::State<Arc<State>>) -> Response {
    let (code, text) = if state.draining.load(Ordering::Relaxed) {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        match state.health.ready().await {
            true => (StatusCode::OK, "ok\n"),
            false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable\n"),
        }
    };
    (code, text).into_response()
}

/// Reports whether the inbox and the storage accept writes.
pub(crate) async fn health(state: extract::State<Arc<State>>) -> Response {
    let report = state.health.check().await;
    let mut healthy = true;
    let mut describe = |part, result: Result<(), String>| match result {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            tracing::error!(part, error, "the health check failed");
            healthy = false;
            error
        }
    };
    let inbox = describe("inbox", report.inbox);
    let storage = describe("storage", report.storage);
    let (code, status) = match healthy {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = json!({ "status": status, "inbox": inbox, "storage": storage });
    (code, Json(body)).into_response()
}

/// Returns all metrics in Prometheus' text format, or a summary as JSON.
pub(crate) async fn metrics(state: extract::State<Arc<State>>, headers: HeaderMap) -> Response {
    let text = state.metrics.render();
    let page = if prefers(&headers, "application/json", "text/") {
        Json(metrics::summary(&text)).into_response()
    } else {
        let text_format = "text/plain; version=0.0.4; charset=utf-8";
        ([(CONTENT_TYPE, text_format)], text).into_response()
    };
    ([VARY_ACCEPT], page).into_response()
}

/// Returns whether the request accepts `wanted`, and names it before `other`.
fn prefers(headers: &HeaderMap, wanted: &str, other: &str) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",").to_ascii_lowercase();
    match (accepted.find(wanted), accepted.find(other)) {
        (Some(wanted), Some(other)) => wanted < other,
        (wanted, _) => wanted.is_some(),
    }
}

const VARY_ACCEPT: (axum::http::HeaderName, &str) = (VARY, "accept");
