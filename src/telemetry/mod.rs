//! What the crate tells of its work: events and a span through `tracing`, figures through `metrics`. Each is a module with
//! a twin that does nothing, for when its feature is off.

#[cfg_attr(not(feature = "metrics"), path = "meter_off.rs")]
mod meter;
#[cfg_attr(not(feature = "tracing"), path = "trace_off.rs")]
mod trace;

pub(crate) use self::meter::{InFlight, Stopwatch};
pub(crate) use self::trace::DeliverySpan;
use crate::event::WebhookEvent;
use crate::layer::Rejection;
use crate::verifier::Verified;

pub(crate) fn rejected(rejection: Rejection) {
    trace::rejected(rejection);
    meter::rejected(rejection);
}

pub(crate) fn verified(verified: Verified, bytes: usize, stopwatch: Stopwatch) {
    trace::verified(verified, bytes);
    meter::verified(verified, bytes, stopwatch);
}

pub(crate) fn accepted(event: &WebhookEvent) {
    meter::accepted(event);
}
