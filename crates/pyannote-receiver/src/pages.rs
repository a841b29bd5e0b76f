use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use axum::{
    Json,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE, VARY},
    },
    response::{Html, IntoResponse, Response},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower_pyannote_inbox::InboxStats;

use crate::app::App;

/// What this is, for a browser or for a program.
pub(crate) async fn index(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let vary = [(VARY, "accept")];
    let inbox = Contents::of(app.inbox.stats().await);
    if wants_html(&headers) {
        (vary, Html(html(&app, &inbox))).into_response()
    } else {
        (vary, Json(json(&app, &inbox))).into_response()
    }
}

/// Whether events can be committed and kept at present.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Response {
    let findings = app.health.check().await;
    let mut healthy = true;
    let mut told = |what, finding: Result<(), String>| match finding {
        Ok(()) => "ok".to_owned(),
        Err(error) => {
            tracing::error!(what, error, "cannot store");
            healthy = false;
            error
        }
    };
    let inbox = told("inbox", findings.inbox);
    let storage = told("storage", findings.storage);
    let (code, status) = match healthy {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = json!({ "status": status, "inbox": inbox, "storage": storage });
    (code, Json(body)).into_response()
}

/// The figures, in Prometheus' text format.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Response {
    let text_format = "text/plain; version=0.0.4; charset=utf-8";
    ([(CONTENT_TYPE, text_format)], app.metrics.render()).into_response()
}

/// Browsers name HTML; whoever names JSON before it, or neither, gets JSON.
fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let accepted: Vec<_> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepted = accepted.join(",").to_ascii_lowercase();
    match (
        accepted.find("text/html"),
        accepted.find("application/json"),
    ) {
        (Some(html), Some(json)) => html < json,
        (html, _) => html.is_some(),
    }
}

/// How many events the inbox holds, and when they were counted.
#[derive(Default)]
struct Contents {
    rows: Vec<Row>,
    counted_at: Option<Timestamp>,
}

impl Contents {
    /// Nothing is shown while the inbox does not answer.
    fn of(counted: Option<(Timestamp, InboxStats)>) -> Self {
        let Some((at, stats)) = counted else {
            return Self::default();
        };
        let rows = vec![
            ("waiting", stats.waiting, "to be handled, or tried again"),
            ("running", stats.running, "being handled"),
            ("handled", stats.handled, "and not yet pruned"),
            (
                "dead",
                stats.dead,
                "given up; `server inbox list --state dead`",
            ),
        ];
        Self {
            rows,
            counted_at: Some(at),
        }
    }
}

fn json(app: &App, inbox: &Contents) -> Value {
    let endpoints: Vec<_> = ENDPOINTS
        .iter()
        .map(|(method, path, what)| json!({ "method": method, "path": path, "what": what }))
        .collect();
    let counts: serde_json::Map<_, _> = counts(app)
        .map(|(name, count, _)| (name.to_owned(), count.into()))
        .into_iter()
        .collect();
    json!({
        "name": NAME,
        "version": env!("CARGO_PKG_VERSION"),
        "description": DESCRIPTION,
        "endpoints": endpoints,
        "counts": counts,
        "inbox": inbox.rows.iter().map(|(name, count, _)| (*name, *count)).collect::<BTreeMap<_, _>>(),
        "inbox_counted_at": inbox.counted_at.map(|at| at.to_string()),
    })
}

fn html(app: &App, inbox: &Contents) -> String {
    let endpoints = ENDPOINTS.map(|(method, path, what)| {
        format!("<tr><td><code>{method} {path}</code></td><td>{what}</td></tr>")
    });
    let rows = |rows: &[Row]| {
        let rows = rows.iter().map(|(name, count, what)| {
            format!("<tr><td>{name}</td><td>{count}</td><td>{what}</td></tr>")
        });
        rows.collect::<Vec<_>>().join("\n")
    };
    format!(
        "<!doctype html>\n\
         <html lang=\"en\"><head><meta charset=\"utf-8\"><title>{NAME}</title>\n\
         <style>body {{ font: 16px/1.5 sans-serif; margin: 2em auto; max-width: 45em }} \
         td {{ padding: 0 1.5em 0 0 }}</style></head>\n\
         <body><h1>{NAME} {version}</h1>\n<p>{DESCRIPTION}</p>\n\
         <h2>Endpoints</h2>\n<table>\n{endpoints}\n</table>\n\
         <h2>Deliveries since the start</h2>\n<table>\n{counts}\n</table>\n\
         <h2>Events in the inbox</h2>\n<p>Counted: {counted_at}</p>\n<table>\n{inbox}\n</table>\n</body></html>\n",
        version = env!("CARGO_PKG_VERSION"),
        endpoints = endpoints.join("\n"),
        counts = rows(&counts(app)),
        counted_at = inbox.counted_at.map_or_else(
            || "the inbox does not answer".to_owned(),
            |at| at.to_string()
        ),
        inbox = rows(&inbox.rows),
    )
}

fn counts(app: &App) -> [Row; 3] {
    let counts = &app.counts;
    let rows = [
        ("accepted", &counts.accepted, "verified and committed"),
        (
            "refused",
            &counts.refused,
            "not signed, stale, too large or broken",
        ),
        (
            "failed",
            &counts.failed,
            "verified, but could not be committed",
        ),
    ];
    rows.map(|(name, count, what)| (name, count.load(Ordering::Relaxed), what))
}

/// A name, a number, and what it counts.
type Row = (&'static str, u64, &'static str);

const NAME: &str = "tower-pyannote reference server";
const DESCRIPTION: &str = "Receives pyannoteAI's webhooks: verifies them, commits each to an inbox, then logs it and keeps it.";
const ENDPOINTS: [(&str, &str, &str); 4] = [
    ("POST", "/webhook", "takes pyannoteAI's deliveries"),
    ("GET", "/", "this page; JSON unless HTML is asked for"),
    (
        "GET",
        "/health",
        "whether events can be committed and kept: 200 or 503",
    ),
    ("GET", "/metrics", "figures for Prometheus"),
];
