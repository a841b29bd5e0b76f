use object_store::path::Path;

use tower_pyannote::WebhookEvent;

/// Tells of a repeated event whose body is not the one that is kept.
pub(crate) fn conflict(event: &WebhookEvent, kept: &Path) {
    count::conflict();
    log::conflict(event, kept);
}

/// Tells of an object that was found cut off and is written again.
pub(crate) fn repaired(location: &Path) {
    log::repaired(location);
}

#[cfg(feature = "metrics")]
mod count {
    pub(crate) fn conflict() {
        metrics::counter!("pyannote_webhook_archive_conflicts_total").increment(1);
    }
}

#[cfg(not(feature = "metrics"))]
mod count {
    pub(crate) fn conflict() {}
}

#[cfg(feature = "tracing")]
mod log {
    use object_store::path::Path;

    use tower_pyannote::WebhookEvent;

    pub(crate) fn conflict(event: &WebhookEvent, kept: &Path) {
        tracing::warn!(
            job_id = event.job_id(),
            status = event.status().as_str(),
            location = kept.as_ref(),
            "a repeated event differs from the one that is archived, which stays"
        );
    }

    pub(crate) fn repaired(location: &Path) {
        tracing::warn!(
            location = location.as_ref(),
            "an archived object was cut off and is written again: does the store fsync?"
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod log {
    use object_store::path::Path;

    use tower_pyannote::WebhookEvent;

    pub(crate) fn conflict(_: &WebhookEvent, _: &Path) {}
    pub(crate) fn repaired(_: &Path) {}
}
