use opentelemetry::{
    Context,
    trace::{SpanContext, TraceContextExt, TraceFlags, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{context::TraceContext, propagation::TracePropagation};

/// Propagates traces through the layer of [`tracing_opentelemetry`].
///
/// Build the layer with
/// [`with_context_activation(false)`](tracing_opentelemetry::OpenTelemetryLayer::with_context_activation). Otherwise the span of
/// a delivery begins before the inbox has read its submission, so the span is linked to the submission and is not its child.
///
/// # Example: submissions that begin the traces of their events
///
/// ```no_run
/// use pyannoteai_client::Client;
/// use tower_pyannote_inbox::{Inbox, OpenTelemetry};
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = Inbox::builder("sqlite://data/inbox.sqlite")
///     .with_trace_propagation(OpenTelemetry)
///     .open()
///     .await?;
/// let client = Client::builder_from_env()?.with_submission_log(inbox.submissions()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenTelemetry;

impl TracePropagation for OpenTelemetry {
    fn context(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        TraceContext::new(
            u128::from_be_bytes(span.trace_id().to_bytes()),
            u64::from_be_bytes(span.span_id().to_bytes()),
            span.is_sampled(),
        )
    }

    fn set_parent(&self, span: &Span, parent: TraceContext) {
        let remote = Context::new().with_remote_span_context(remote(parent));
        if span.set_parent(remote).is_err() {
            self.add_link(span, parent);
        }
    }

    fn add_link(&self, span: &Span, to: TraceContext) {
        span.add_link(remote(to));
    }
}

fn remote(context: TraceContext) -> SpanContext {
    SpanContext::new(
        context.trace_id().into(),
        context.span_id().into(),
        TraceFlags::default().with_sampled(context.is_sampled()),
        true,
        TraceState::default(),
    )
}
