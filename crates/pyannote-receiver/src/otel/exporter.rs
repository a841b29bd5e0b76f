use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry_sdk::{
    Resource,
    error::{OTelSdkError, OTelSdkResult},
    trace::{SpanData, SpanExporter},
};

/// An exporter that logs its failures, at most once a minute.
#[derive(Debug)]
pub(super) struct Exporter<E> {
    exporter: E,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    /// Spans that were lost since the last log line.
    lost: usize,
    logged_at: Option<Instant>,
}

impl<E> Exporter<E> {
    pub(super) fn new(exporter: E) -> Self {
        Self {
            exporter,
            failures: Mutex::default(),
        }
    }

    fn failed(&self, spans: usize, error: &OTelSdkError) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.lost += spans;
        let is_early = |at: Instant| at.elapsed() < LOG_EVERY;
        if failures.logged_at.is_some_and(is_early) {
            return;
        }
        tracing::warn!(
            lost = failures.lost,
            %error,
            "traces were not sent: check the collector and --otlp-endpoint; deliveries go on"
        );
        *failures = Failures {
            lost: 0,
            logged_at: Some(Instant::now()),
        };
    }
}

impl<E: SpanExporter> SpanExporter for Exporter<E> {
    async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
        for span in &mut batch {
            // These attributes are for log lines. The span has its ids already.
            let is_id = |key: &str| matches!(key, "trace_id" | "span_id");
            span.attributes
                .retain(|attribute| !is_id(attribute.key.as_str()));
        }
        let spans = batch.len();
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported {
            self.failed(spans, error);
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

const LOG_EVERY: Duration = Duration::from_secs(60);
