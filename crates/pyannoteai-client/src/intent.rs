//! Calls the submission log before and after a submission.

use crate::client::Client;
use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::job::SubmittedJob;
use crate::request::JobRequest;
use crate::submission_log::{Notice, SubmissionIntent};
use crate::telemetry;

impl Client {
    /// Returns the intent to submit a request, if the request has a reference or metadata.
    pub(crate) fn intent(&self, request: &JobRequest) -> Option<SubmissionIntent> {
        let has_own_data = request.reference().is_some() || request.metadata().is_some();
        (self.shared.log.is_some() && has_own_data).then(|| SubmissionIntent {
            id: format!("{:032x}", fastrand::u128(..)).into(),
            kind: request.kind(),
            webhook_status_only: request.is_status_only(),
            reference: request.reference().cloned(),
            metadata: request.metadata().cloned(),
            begun_at: self.now(),
            timeout: self.shared.timeout,
        })
    }

    /// Records that a request is about to be sent.
    pub(crate) async fn open(&self, intent: &mut SubmissionIntent) -> Result<(), ClientError> {
        intent.begun_at = self.now();
        let Some(log) = &self.shared.log else {
            return Ok(());
        };
        let told = log.tell(Notice::Submitting(intent)).await;
        told.map_err(|error| ClientError::new(ClientErrorKind::NotRecorded).with_source(error))
    }

    /// Records that a request failed, and whether a job may exist.
    pub(crate) async fn close(&self, intent: Option<&SubmissionIntent>, error: &ClientError) {
        let (Some(log), Some(intent)) = (&self.shared.log, intent) else {
            return;
        };
        let notice = match error.may_have_been_submitted() {
            true => {
                telemetry::unanswered(intent);
                Notice::Unanswered(intent)
            }
            false => Notice::NotSubmitted(intent),
        };
        if let Err(error) = log.tell(notice).await {
            telemetry::intent_not_closed(intent, &*error);
        }
    }

    /// Records a job.
    pub(crate) async fn record(&self, mut job: SubmittedJob) -> SubmittedJob {
        let Some(log) = &self.shared.log else {
            return job;
        };
        if let Err(error) = log.tell(Notice::Submitted(&job)).await {
            telemetry::not_recorded(&job, &*error);
            job.log_error = Some(error.into());
        }
        job
    }
}
