use std::time::Duration;

use crate::error::ClientError;
use crate::job::SubmittedJob;

/// Tells of one request that was answered, or not.
pub(crate) fn requested(call: &'static str, error: Option<&ClientError>) {
    let outcome = error.map_or("ok", |error| error.kind().as_str());
    count::requested(call, outcome);
    log::requested(call, outcome, error);
}

/// Tells of a request that is about to be sent again.
pub(crate) fn repeating(call: &'static str, error: &ClientError) {
    count::repeating(call);
    log::repeating(call, error);
}

/// Tells of a request that waited for its turn.
pub(crate) fn waited_for_rate_limit(waited: Duration) {
    count::waited_for_rate_limit(waited);
    log::waited_for_rate_limit(waited);
}

/// Tells of a job that pyannoteAI took.
pub(crate) fn submitted(job: &SubmittedJob) {
    log::submitted(job);
}

/// Tells of a job that was submitted but not recorded.
pub(crate) fn not_recorded(job: &SubmittedJob, error: &(dyn std::error::Error + 'static)) {
    count::not_recorded();
    log::not_recorded(job, error);
}

#[cfg(feature = "metrics")]
mod count {
    use std::time::Duration;

    pub(crate) fn requested(call: &'static str, outcome: &'static str) {
        metrics::counter!(REQUESTS, "call" => call, "outcome" => outcome).increment(1);
    }

    pub(crate) fn repeating(call: &'static str) {
        metrics::counter!(RETRIES, "call" => call).increment(1);
    }

    pub(crate) fn waited_for_rate_limit(waited: Duration) {
        metrics::counter!(WAITS).increment(1);
        metrics::histogram!(WAIT_SECONDS).record(waited);
    }

    pub(crate) fn not_recorded() {
        metrics::counter!(NOT_RECORDED).increment(1);
    }

    const REQUESTS: &str = "pyannote_client_requests_total";
    const RETRIES: &str = "pyannote_client_retries_total";
    const WAITS: &str = "pyannote_client_rate_limit_waits_total";
    const WAIT_SECONDS: &str = "pyannote_client_rate_limit_wait_seconds";
    const NOT_RECORDED: &str = "pyannote_client_unrecorded_submissions_total";
}

#[cfg(not(feature = "metrics"))]
mod count {
    use std::time::Duration;

    pub(crate) fn requested(_: &'static str, _: &'static str) {}
    pub(crate) fn repeating(_: &'static str) {}
    pub(crate) fn waited_for_rate_limit(_: Duration) {}
    pub(crate) fn not_recorded() {}
}

#[cfg(feature = "tracing")]
mod log {
    use std::time::Duration;

    use crate::error::ClientError;
    use crate::job::SubmittedJob;

    pub(crate) fn requested(
        call: &'static str,
        outcome: &'static str,
        error: Option<&ClientError>,
    ) {
        match error {
            Some(error) if error.may_have_been_submitted() => tracing::warn!(
                call,
                outcome,
                %error,
                "a submission was not confirmed: look for the job before submitting again"
            ),
            Some(error) => tracing::debug!(call, outcome, %error, "request failed"),
            None => tracing::debug!(call, outcome, "request answered"),
        }
    }

    pub(crate) fn repeating(call: &'static str, error: &ClientError) {
        tracing::warn!(call, %error, "request failed, trying again");
    }

    pub(crate) fn waited_for_rate_limit(waited: Duration) {
        tracing::debug!(seconds = waited.as_secs_f64(), "waited for the rate limit");
    }

    pub(crate) fn submitted(job: &SubmittedJob) {
        let (job_id, kind) = (&*job.job_id, job.kind.as_str());
        match &job.warning {
            Some(warning) => tracing::warn!(job_id, kind, %warning, "job submitted with a warning"),
            None => tracing::info!(job_id, kind, "job submitted"),
        }
    }

    pub(crate) fn not_recorded(job: &SubmittedJob, error: &(dyn std::error::Error + 'static)) {
        tracing::error!(
            job_id = &*job.job_id,
            kind = job.kind.as_str(),
            error,
            "job submitted, but its submission was not recorded"
        );
    }
}

#[cfg(not(feature = "tracing"))]
mod log {
    use std::time::Duration;

    use crate::error::ClientError;
    use crate::job::SubmittedJob;

    pub(crate) fn requested(_: &'static str, _: &'static str, _: Option<&ClientError>) {}
    pub(crate) fn repeating(_: &'static str, _: &ClientError) {}
    pub(crate) fn waited_for_rate_limit(_: Duration) {}
    pub(crate) fn submitted(_: &SubmittedJob) {}
    pub(crate) fn not_recorded(_: &SubmittedJob, _: &(dyn std::error::Error + 'static)) {}
}
