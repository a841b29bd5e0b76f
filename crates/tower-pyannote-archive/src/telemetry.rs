use metrics::counter;
use object_store::path::Path;
use tower_pyannote::WebhookEvent;

use crate::metrics::CONFLICTS;

/// Logs where the handler archived an event.
pub(crate) fn kept(event: &WebhookEvent, location: &Path) {
    tracing::info!(%location, bytes = event.raw().len(), "kept");
}

/// Reports a duplicate whose body differs from the archived event.
pub(crate) fn conflict(event: &WebhookEvent, kept: &Path) {
    counter!(CONFLICTS).increment(1);
    tracing::warn!(
        job_id = event.job_id(),
        status = event.status().as_str(),
        location = kept.as_ref(),
        "a repeated event differs from the archived one, which stays"
    );
}

/// Reports an incomplete object that is written again.
pub(crate) fn repaired(location: &Path) {
    tracing::warn!(
        location = location.as_ref(),
        "an archived object was cut off and is written again: does the store fsync?"
    );
}
