//! Sends traces over OTLP.

mod endpoint;
mod exporter;

use std::{env, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use pyannote_cli::{BoxedLayer, Failure};
use tokio::runtime::Handle;
use tower_pyannote_inbox::{InboxBuilder, OpenTelemetry};
use tracing::{Level, Metadata};
use tracing_subscriber::{Layer, filter::filter_fn};

use self::{endpoint::Endpoint, exporter::Exporter};

/// The traces of this process; empty if they are off.
#[derive(Default)]
pub(crate) struct Traces {
    provider: Option<SdkTracerProvider>,
}

impl Traces {
    /// Checks the collector's URL, and sends nothing.
    pub(crate) fn check(endpoint: Option<&str>) -> Result<(), Failure> {
        Endpoint::of(endpoint).map(drop)
    }

    /// Starts to collect and send spans, if the setting or a variable of OpenTelemetry names a collector.
    ///
    /// A thread of its own sends the spans from a bounded queue, so that a slow collector delays no delivery. A full queue drops
    /// further spans.
    pub(crate) fn start(endpoint: Option<&str>, runtime: &Handle) -> Result<Self, Failure> {
        let Some(endpoint) = Endpoint::of(endpoint)? else {
            return Ok(Self::default());
        };
        let client = endpoint.client(runtime)?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint.url.as_str())
            .with_http_client(client)
            .build()
            .map_err(|error| endpoint.failure(&error))?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(Exporter::new(exporter))
            .with_resource(resource())
            .build();
        Ok(Self {
            provider: Some(provider),
        })
    }

    /// Returns the layer that collects spans.
    pub(crate) fn layer(&self) -> Option<BoxedLayer> {
        let tracer = self.provider.as_ref()?.tracer(NAME);
        let layer = tracing_opentelemetry::layer()
            .with_tracer(tracer)
            // With activation, a span begins when it is entered. The span of a delivery gets its parent later.
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false);
        Some(layer.with_filter(filter_fn(is_collected)).boxed())
    }

    pub(crate) fn propagate(&self, builder: InboxBuilder) -> InboxBuilder {
        match &self.provider {
            Some(_) => builder.with_trace_propagation(OpenTelemetry),
            None => builder,
        }
    }

    /// Sends the remaining spans. Waits at most [`FLUSH`].
    pub(crate) fn flush(self) {
        let Some(provider) = self.provider else {
            return;
        };
        if provider.shutdown_with_timeout(FLUSH).is_err() {
            tracing::warn!(
                "the last traces were not sent: the collector did not answer within {} s",
                FLUSH.as_secs()
            );
        }
    }
}

/// Returns whether a span is collected: any span of the project's crates, and spans of other crates from level `info`.
///
/// Log lines are not collected, because an error may contain a URL of the operator.
fn is_collected(metadata: &Metadata<'_>) -> bool {
    let is_ours = || OURS.iter().any(|ours| metadata.target().starts_with(ours));
    metadata.is_span() && (*metadata.level() <= Level::INFO || is_ours())
}

/// Returns the attributes of this process. The variables of OpenTelemetry override the name of the service.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    let attributes = env::var("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let is_named =
        env::var_os("OTEL_SERVICE_NAME").is_some() || attributes.contains("service.name");
    match is_named {
        true => resource.build(),
        false => resource.with_service_name(NAME).build(),
    }
}

const NAME: &str = "pyannote-receiver";

/// The prefixes of the targets of the project's crates.
const OURS: [&str; 3] = ["pyannote_receiver", "pyannoteai_client", "tower_pyannote"];

/// The time that the process waits for the collector at its end.
const FLUSH: Duration = Duration::from_secs(5);
