use tokio::runtime::Handle;

use crate::client::Client;
use crate::endpoint::Endpoint;
use crate::error::ClientError;
use crate::invalid_request::InvalidRequest;
use crate::job::{Job, JobPage, KeyTest, SubmittedJob};
use crate::request::{DiarizeRequest, IdentifyRequest, JobRequest, ListJobs, VoiceprintRequest};
use crate::send::{Call, Effect};
use crate::telemetry::{self, SubmissionSpan};

impl Client {
    /// Submits a diarization.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn diarize(&self, request: DiarizeRequest) -> Result<SubmittedJob, ClientError> {
        self.submit(request).await
    }

    /// Submits an identification.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn identify(&self, request: IdentifyRequest) -> Result<SubmittedJob, ClientError> {
        self.submit(request).await
    }

    /// Submits a voiceprint job.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn voiceprint(
        &self,
        request: VoiceprintRequest,
    ) -> Result<SubmittedJob, ClientError> {
        self.submit(request).await
    }

    /// Submits a job of any kind. A request without a webhook gets the client's.
    ///
    /// pyannoteAI bills only jobs that succeed: at least 20 s of audio each, and a voiceprint by the piece.
    ///
    /// Dropping the future does not cancel the job: it may exist without a record in the
    /// [`SubmissionLog`](crate::SubmissionLog).
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API refused the request or sent no valid response. Check
    /// [`ClientError::may_have_been_submitted`] before submitting again.
    pub async fn submit(
        &self,
        request: impl Into<JobRequest>,
    ) -> Result<SubmittedJob, ClientError> {
        let request = request.into();
        let span = SubmissionSpan::new(request.kind());
        span.run(self.submit_request(request)).await
    }

    async fn submit_request(&self, mut request: JobRequest) -> Result<SubmittedJob, ClientError> {
        if let Some(webhook) = &self.shared.webhook {
            request.set_default_webhook(webhook);
        }
        let url = self.url(&["v1", request.call()]);
        let call = Call::post(
            request.call(),
            request.endpoint(),
            Effect::Submission,
            url,
            &request,
        )?;
        let mut intent = self.intent(&request);
        let response = self.send_submission(&call, &mut intent).await?;
        let job = SubmittedJob::read(&response, &request, self.now())
            .map_err(|error| error.with_body_sent(true).of_submission());
        let mut job = match job {
            Ok(job) => job,
            Err(error) => {
                self.close(intent.as_ref(), &error).await;
                return Err(error);
            }
        };
        job.intent_id = intent.map(|intent| intent.id);
        telemetry::submitted(&job);
        Ok(self.record(job).await)
    }

    /// Reads a job's status, and its output for 24 h after the end of the job.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] of kind [`NotFound`](crate::ClientErrorKind::NotFound) if the job does not exist, or not
    /// any more, and of another kind if the API sent no valid response.
    pub async fn job(&self, job_id: impl AsRef<str>) -> Result<Job, ClientError> {
        let job_id = job_id.as_ref();
        // These ids would change the path of the URL.
        if matches!(job_id, "" | "." | "..") {
            return Err(InvalidRequest::new("jobId", "is not the id of a job").into());
        }
        let mut call = Call::get("job", Endpoint::Jobs, self.url(&["v1", "jobs", job_id]));
        call.limit = self.shared.job_limit;
        let response = self.send(&call).await?;
        let (job_id, received_at) = (job_id.to_owned(), self.now());
        let is_small = response.len() <= MAX_READ_INLINE;
        let read = move || Job::read(response.clone(), &job_id, received_at);
        if is_small {
            return read();
        }
        // The task is lost only if the runtime shuts down.
        let task = Handle::current().spawn_blocking(read.clone());
        task.await.unwrap_or_else(|_| read())
    }

    /// Reads one page of the list of jobs, newest first, without outputs.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the API refused the request or sent no valid response.
    pub async fn jobs(&self, list: &ListJobs) -> Result<JobPage, ClientError> {
        let mut url = self.url(&["v2", "jobs"]);
        list.write_to(&mut url);
        let response = self.send(&Call::get("jobs", Endpoint::Jobs, url)).await?;
        JobPage::read(&response)
    }

    /// Asks the API whether the API key is valid.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] of kind [`Unauthorized`](crate::ClientErrorKind::Unauthorized) if the key is invalid,
    /// and of another kind if the API sent no valid response.
    pub async fn test_key(&self) -> Result<KeyTest, ClientError> {
        let call = Call::get("test", Endpoint::Test, self.url(&["v1", "test"]));
        KeyTest::read(&self.send(&call).await?)
    }
}

/// A larger response is read on the blocking pool, because reading takes about 1.5 ms a MiB.
const MAX_READ_INLINE: usize = 1024 * 1024;
