use metrics::counter;

use crate::metrics::RELAYS;

/// Counts an attempt to forward an event.
#[cfg(feature = "http")]
pub(crate) fn forwarded(endpoint: &std::sync::Arc<str>, outcome: &'static str) {
    let endpoint = std::sync::Arc::clone(endpoint);
    counter!(crate::metrics::FORWARDS, "endpoint" => endpoint, "outcome" => outcome).increment(1);
    tracing::debug!(outcome, "forwarded");
}

/// Counts an attempt to publish an event.
pub(crate) fn relayed(subject: &str, outcome: &'static str) {
    counter!(RELAYS, "outcome" => outcome).increment(1);
    tracing::debug!(subject, outcome, "relayed");
}
