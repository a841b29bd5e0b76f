use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tower_pyannote::{__log_event as log_event, __metric as metric, Kind};

use crate::error::ClientError;
use crate::job::SubmittedJob;
use crate::submission_log::SubmissionIntent;

/// The span of a submission. Its level is `TRACE`, so that log lines at the usual levels do not show the span.
pub(crate) struct SubmissionSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl SubmissionSpan {
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::trace_span!(
                "pyannote_submission",
                kind = kind.as_str(),
                job_id = tracing::field::Empty,
                otel.status_code = tracing::field::Empty,
            ),
        }
    }

    /// Runs a submission in the span, and records the job or the failure.
    #[cfg(feature = "tracing")]
    pub(crate) async fn run(
        self,
        submission: impl Future<Output = Result<SubmittedJob, ClientError>>,
    ) -> Result<SubmittedJob, ClientError> {
        let span = self.span;
        let submitted = tracing::Instrument::instrument(submission, span.clone()).await;
        match &submitted {
            Ok(job) => span.record("job_id", &*job.job_id),
            Err(_) => span.record("otel.status_code", "ERROR"),
        };
        submitted
    }

    #[cfg(not(feature = "tracing"))]
    pub(crate) fn run<F: Future>(self, submission: F) -> F {
        submission
    }
}

pub(crate) fn requested(call: &'static str, error: Option<&ClientError>) {
    let outcome = error.map_or("ok", |error| error.kind().as_str());
    metric!(counter(crate::metrics::REQUESTS, "call" => call, "outcome" => outcome).increment(1));
    match error {
        Some(error) if error.may_have_been_submitted() => log_event!(
            WARN,
            call = call,
            outcome = outcome,
            error = format_args!("{error}"),
            "submission was not confirmed: look for the job before submitting again"
        ),
        Some(error) => log_event!(
            DEBUG,
            call = call,
            outcome = outcome,
            error = format_args!("{error}"),
            "request failed"
        ),
        None => log_event!(DEBUG, call = call, outcome = outcome, "request succeeded"),
    }
}

pub(crate) fn retrying(call: &'static str, error: &ClientError) {
    metric!(counter(crate::metrics::RETRIES, "call" => call).increment(1));
    log_event!(
        WARN,
        call = call,
        error = format_args!("{error}"),
        "request failed, retrying"
    );
}

pub(crate) fn waited_for_rate_limit(waited: Duration) {
    metric!(counter(crate::metrics::RATE_LIMIT_WAITS).increment(1));
    metric!(histogram(crate::metrics::RATE_LIMIT_WAIT_SECONDS).record(waited));
    log_event!(
        DEBUG,
        seconds = waited.as_secs_f64(),
        "waited for the rate limit"
    );
}

pub(crate) fn submitted(job: &SubmittedJob) {
    let (job_id, kind) = (&*job.job_id, job.kind.as_str());
    match &job.warning {
        Some(warning) => log_event!(
            WARN,
            job_id = job_id,
            kind = kind,
            reference = job.reference.as_deref(),
            warning = format_args!("{warning}"),
            "job submitted with a warning"
        ),
        None => log_event!(
            INFO,
            job_id = job_id,
            kind = kind,
            reference = job.reference.as_deref(),
            "job submitted"
        ),
    }
}

pub(crate) fn not_recorded(job: &SubmittedJob, error: &(dyn Error + 'static)) {
    metric!(counter(crate::metrics::UNRECORDED_SUBMISSIONS).increment(1));
    log_event!(
        ERROR,
        job_id = &*job.job_id,
        kind = job.kind.as_str(),
        error = error,
        "job submitted, but not recorded in the submission log"
    );
}

pub(crate) fn unanswered(intent: &SubmissionIntent) {
    log_event!(
        WARN,
        intent_id = &*intent.id,
        kind = intent.kind.as_str(),
        reference = intent.reference.as_deref(),
        "the answer to a submission was lost: its job may run without the reference"
    );
}

pub(crate) fn intent_not_closed(intent: &SubmissionIntent, error: &(dyn Error + 'static)) {
    log_event!(
        WARN,
        intent_id = &*intent.id,
        reference = intent.reference.as_deref(),
        error = error,
        "the submission log was not told that a submission failed"
    );
}
