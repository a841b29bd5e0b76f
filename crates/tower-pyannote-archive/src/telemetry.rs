use metrics::counter;
use object_store::path::Path;
use tower_pyannote::WebhookEvent;

/// Reports a repeated event whose body is not the one that is kept.
pub(crate) fn conflict(event: &WebhookEvent, kept: &Path) {
    counter!("pyannote_webhook_archive_conflicts_total").increment(1);
    tracing::warn!(
        job_id = event.job_id(),
        status = event.status().as_str(),
        location = kept.as_ref(),
        "a repeated event differs from the archived one, which stays"
    );
}

/// Reports an object that was found cut off and is written again.
pub(crate) fn repaired(location: &Path) {
    tracing::warn!(
        location = location.as_ref(),
        "an archived object was cut off and is written again: does the store fsync?"
    );
}
