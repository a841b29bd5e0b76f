//! The traces that go from a submission over the delivery of its event to the attempts of the handlers.

mod context;
#[cfg(feature = "otel")]
mod otel;
mod propagation;

#[cfg(feature = "otel")]
pub use self::otel::OpenTelemetry;
pub(crate) use self::propagation::{Origin, Traces};
pub use self::{
    context::{InvalidTraceContext, TraceContext},
    propagation::TracePropagation,
};
