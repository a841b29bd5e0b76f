//! An OTLP collector over HTTP that keeps the spans that it gets.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1 as otlp,
};
use prost::Message;
use tokio::net::TcpListener;

use tower_pyannote_test_support::process::wait_until;

pub(crate) struct Collector {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    spans: Vec<Span>,
    headers: Vec<HeaderMap>,
    raw: Vec<u8>,
}

/// A span as the collector got it, with ids in hexadecimal.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    /// Empty for the first span of a trace.
    pub(crate) parent: String,
    /// The trace and the span of each link.
    pub(crate) links: Vec<(String, String)>,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let received = Arc::<Mutex<Received>>::default();
        let noted = Arc::clone(&received);
        let export = async move |headers: HeaderMap, body: Bytes| {
            let request = ExportTraceServiceRequest::decode(&*body).unwrap();
            let mut received = noted.lock().unwrap();
            received.spans.extend(spans(request));
            received.headers.push(headers);
            received.raw.extend_from_slice(&body);
            StatusCode::OK
        };
        let router = Router::new().route(
            "/v1/traces",
            post(move |headers, body| {
                let export = export.clone();
                async move { export(headers, body).await }
            }),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.received.lock().unwrap().spans.clone()
    }

    pub(crate) fn headers(&self) -> Vec<HeaderMap> {
        self.received.lock().unwrap().headers.clone()
    }

    /// Returns whether any request to the collector contains a text.
    pub(crate) fn has(&self, text: &str) -> bool {
        let received = self.received.lock().unwrap();
        let mut windows = received.raw.windows(text.len());
        windows.any(|window| window == text.as_bytes())
    }

    /// Waits for this number of spans of a name, and returns them in the order of their attempts.
    pub(crate) fn wait_for(&self, name: &str, number: usize) -> Vec<Span> {
        let mut found = Vec::new();
        wait_until(name, || {
            found = self.spans();
            found.retain(|span| span.name == name);
            found.len() == number
        });
        found.sort_by_key(|span| span.attributes.get("attempt").cloned());
        found
    }
}

fn spans(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in request.resource_spans {
        let resource = attributes(resource_spans.resource.unwrap().attributes);
        let scopes = resource_spans.scope_spans.into_iter();
        for span in scopes.flat_map(|scope| scope.spans) {
            assert!(span.events.is_empty(), "{:?}", span.events);
            spans.push(Span {
                service: resource["service.name"].clone(),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                links: span.links.iter().map(ids).collect(),
                attributes: attributes(span.attributes),
                is_error: span
                    .status
                    .is_some_and(|status| status.code == otlp::status::StatusCode::Error as i32),
            });
        }
    }
    spans
}

fn ids(link: &otlp::span::Link) -> (String, String) {
    (hex(&link.trace_id), hex(&link.span_id))
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let attributes = attributes.into_iter().map(|attribute| {
        let value = match attribute.value.unwrap().value.unwrap() {
            Value::StringValue(text) => text,
            Value::IntValue(number) => number.to_string(),
            other => panic!("{other:?}"),
        };
        (attribute.key, value)
    });
    attributes.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
