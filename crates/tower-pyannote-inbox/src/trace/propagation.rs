use std::{fmt, sync::Arc};

use tracing::{Span, field::display};

use super::context::TraceContext;
use crate::telemetry::guarded;

/// Connects an inbox's spans to a tracing system, so that one trace goes from a submission to the handlers of its event.
///
/// [`InboxBuilder::with_trace_propagation`](crate::InboxBuilder::with_trace_propagation) sets it. `OpenTelemetry` (feature
/// `otel`) implements it for subscribers with a layer of `tracing-opentelemetry`.
///
/// The methods must not block. The inbox catches their panics.
pub trait TracePropagation: Send + Sync + 'static {
    /// Returns the context of a span. Begins the span if it has not begun. Returns `None` if the span is not recorded.
    fn context(&self, span: &Span) -> Option<TraceContext>;

    /// Makes `parent` the parent of a span that has not begun. Links a span that has begun to `parent`.
    fn set_parent(&self, span: &Span, parent: TraceContext);

    /// Links a span to the span `to`.
    fn add_link(&self, span: &Span, to: TraceContext);
}

/// The trace propagation of an inbox, if it has one.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<dyn TracePropagation>>);

impl Traces {
    pub(crate) fn new(propagation: impl TracePropagation) -> Self {
        Self(Some(Arc::new(propagation)))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the context of the current span.
    #[cfg(feature = "reconcile")]
    pub(crate) fn current(&self) -> Option<TraceContext> {
        self.context(&Span::current())
    }

    /// Begins the span of a delivery, as a child of the job's submission if the submission is known.
    pub(crate) fn deliver(
        &self,
        span: &Span,
        submitted: Option<TraceContext>,
    ) -> Option<TraceContext> {
        if let Some(submitted) = submitted {
            self.set_parent(span, submitted);
        }
        self.begin(span)
    }

    /// Begins the span of an attempt. The first attempt is a child of the event's trace. A retry may run days later, so it begins
    /// a trace of its own, with a link.
    pub(crate) fn attempt(&self, span: &Span, number: u32, origin: Origin) {
        let (parent, other) = origin.parent_and_other();
        match parent {
            Some(parent) if number == 1 => self.set_parent(span, parent),
            Some(first) => self.add_link(span, first),
            None => {}
        }
        if let Some(other) = other {
            self.add_link(span, other);
        }
        self.begin(span);
    }

    /// Begins a span and records its ids, so that log lines have them.
    pub(crate) fn begin(&self, span: &Span) -> Option<TraceContext> {
        let context = self.context(span)?;
        guarded(|| {
            let ids = (context.trace_id(), context.span_id());
            span.record("trace_id", display(format_args!("{:032x}", ids.0)));
            span.record("span_id", display(format_args!("{:016x}", ids.1)));
        });
        Some(context)
    }

    /// Records the outcome of a span.
    pub(crate) fn end(&self, span: &Span, outcome: &'static str, succeeded: bool) {
        if !self.is_on() {
            return;
        }
        guarded(|| {
            span.record("outcome", outcome);
            if !succeeded {
                span.record("otel.status_code", "ERROR");
            }
        });
    }

    fn context(&self, span: &Span) -> Option<TraceContext> {
        let mut context = None;
        self.with(|propagation| context = propagation.context(span));
        context
    }

    fn set_parent(&self, span: &Span, parent: TraceContext) {
        self.with(|propagation| propagation.set_parent(span, parent));
    }

    fn add_link(&self, span: &Span, to: TraceContext) {
        self.with(|propagation| propagation.add_link(span, to));
    }

    fn with(&self, call: impl FnOnce(&dyn TracePropagation)) {
        if let Some(propagation) = &self.0 {
            guarded(|| call(&**propagation));
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Traces").field(&self.is_on()).finish()
    }
}

/// The spans from which the trace of an event comes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    /// The span of the delivery.
    pub(crate) delivered: Option<TraceContext>,
    /// The span of the submission.
    pub(crate) submitted: Option<TraceContext>,
}

impl Origin {
    /// Returns the parent of the first attempt, and a span of another trace to link to.
    ///
    /// The trace of the submission wins. If the event was delivered before the submission was recorded, the delivery has a trace
    /// of its own.
    fn parent_and_other(self) -> (Option<TraceContext>, Option<TraceContext>) {
        match (self.delivered, self.submitted) {
            (Some(delivered), Some(submitted)) if delivered.trace_id() == submitted.trace_id() => {
                (Some(delivered), None)
            }
            (delivered, Some(submitted)) => (Some(submitted), delivered),
            (delivered, None) => (delivered, None),
        }
    }
}
