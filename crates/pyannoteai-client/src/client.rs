use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::ConfigError;
use crate::address::Address;
use crate::builder::ClientBuilder;
use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::job::{Job, JobPage, KeyTest, SubmittedJob};
use crate::key::ApiKey;
use crate::limiter::Limiter;
use crate::log::AnySubmissionLog;
use crate::pages::JobPages;
use crate::request::{
    DiarizeRequest, IdentifyRequest, InvalidRequest, JobRequest, ListJobs, VoiceprintRequest,
};
use crate::send::{Call, Effect};
use crate::telemetry;
use crate::time::Time;

/// A client of pyannoteAI's API: it submits jobs, reads and lists them, and moves media.
///
/// 1. A submission is a billed job, and is never repeated once any of it may have reached the API: not after a timeout,
///    an answer of 500 and above, or a broken connection. [`ClientError::may_have_been_submitted`] tells of those. It is
///    repeated if it was refused for the rate alone, with 429, or if no connection could be made.
/// 2. What only reads is repeated after all of these, 3 times by default, after growing delays.
/// 3. No more than 100 requests go out in any 60 s, by default, and none while the API asks to wait, by `Retry-After` or
///    `X-RateLimit-Reset`; it is obeyed for 2 minutes at most.
/// 4. What the API would refuse is refused before it is sent, with the field's name.
/// 5. The API key goes to the API alone: no redirect is followed, and the storage behind a presigned URL does not get it.
/// 6. Answers are bounded: a job's to 128 MiB by default, others to 1 MiB.
///
/// Cloning is cheap, and clones share connections and the rate limit. It must run on Tokio, with I/O and timer enabled.
///
/// # Example: submit a job, and look how it stands
///
/// ```no_run
/// use pyannoteai_client::{Client, DiarizeRequest, MediaKey, Upload};
///
/// # async fn submit() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::from_env()?;
///
/// let key = client
///     .upload(MediaKey::new("meeting.wav")?, Upload::from_path("meeting.wav").await?)
///     .await?;
/// let request = DiarizeRequest::new(&key)?.with_webhook("https://example.com/webhook")?;
/// let submitted = client.diarize(request).await?;
///
/// let job = client.job(&submitted.job_id).await?;
/// println!("{}: {}", job.job_id(), job.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base: Url,
    pub(crate) key: ApiKey,
    pub(crate) insecure_http: bool,
    pub(crate) webhook: Option<Address>,
    pub(crate) timeout: Duration,
    pub(crate) stall_timeout: Duration,
    pub(crate) limiter: Limiter,
    pub(crate) max_retries: usize,
    pub(crate) job_limit: usize,
    pub(crate) log: Option<Arc<dyn AnySubmissionLog>>,
    pub(crate) time: Time,
}

impl Client {
    /// Makes a client with the default settings, by an API key from pyannoteAI's dashboard.
    ///
    /// The key is overwritten in memory when the last clone is dropped; the buffers of connections are not.
    ///
    /// # Errors
    ///
    /// The key is empty or no key, or this machine has no certificates to know pyannoteAI by.
    pub fn new(key: impl Into<String>) -> Result<Self, ConfigError> {
        Self::builder(key).build()
    }

    /// Makes a client with the default settings, by the API key in the environment variable `PYANNOTEAI_API_KEY`.
    ///
    /// # Errors
    ///
    /// The variable is not set, or as [`new`](Self::new).
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env()?.build()
    }

    /// Begins to make a client with settings of one's own.
    pub fn builder(key: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(Zeroizing::new(key.into()))
    }

    /// Begins to make a client, by the API key in the environment variable `PYANNOTEAI_API_KEY`.
    ///
    /// # Errors
    ///
    /// The variable is not set, or not Unicode.
    pub fn builder_from_env() -> Result<ClientBuilder, ConfigError> {
        ApiKey::from_env().map(ClientBuilder::new)
    }

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

    /// Submits a job of any kind, to the client's webhook if it names none.
    ///
    /// To drop the future does not take the job back: it may have been submitted, unrecorded.
    ///
    /// # Errors
    ///
    /// The API refused, or did not answer. Before submitting the same again, ask
    /// [`ClientError::may_have_been_submitted`].
    pub async fn submit(
        &self,
        request: impl Into<JobRequest>,
    ) -> Result<SubmittedJob, ClientError> {
        let mut request = request.into();
        if let Some(webhook) = &self.inner.webhook {
            request.set_default_webhook(webhook);
        }
        let body = serde_json::to_vec(&request).map_err(|error| {
            ClientError::new(ClientErrorKind::InvalidRequest).with_source(error)
        })?;
        let url = self.url(&["v1", request.call()]);
        let call = Call::post(request.call(), Effect::Submission, url, body);
        let answer = self.send(&call).await?;
        let read = SubmittedJob::read(&answer, &request, self.inner.time.now());
        let job = read.map_err(|error| error.with_body_sent(true).of_submission())?;
        telemetry::submitted(&job);
        Ok(self.record(job).await)
    }

    /// Reads a job: how it stands, and its output once it is over, for 24 h.
    ///
    /// # Errors
    ///
    /// There is no such job, or no longer; or the API did not answer as documented.
    pub async fn job(&self, job_id: impl AsRef<str>) -> Result<Job, ClientError> {
        let job_id = job_id.as_ref();
        // The URL's path would be another with these.
        if matches!(job_id, "" | "." | "..") {
            return Err(InvalidRequest::new("jobId", "names no job").into());
        }
        let mut call = Call::get("job", self.url(&["v1", "jobs", job_id]));
        call.limit = self.inner.job_limit;
        let answer = self.send(&call).await?;
        let (job_id, received_at) = (job_id.to_owned(), self.inner.time.now());
        let large = answer.len() > READ_INLINE;
        let read = move || Job::read(answer.clone(), &job_id, received_at);
        if !large {
            return read();
        }
        // The join fails only if the runtime shuts down.
        let handle = Handle::current().spawn_blocking(read.clone());
        handle.await.unwrap_or_else(|_| read())
    }

    /// Lists a page of jobs, newest first, without their outputs.
    ///
    /// # Errors
    ///
    /// The API refused, or did not answer as documented.
    pub async fn jobs(&self, list: &ListJobs) -> Result<JobPage, ClientError> {
        let mut url = self.url(&["v2", "jobs"]);
        list.write_to(&mut url);
        let answer = self.send(&Call::get("jobs", url)).await?;
        JobPage::read(&answer)
    }

    /// Lists jobs page by page, from this one to the last.
    pub fn job_pages(&self, list: ListJobs) -> JobPages {
        JobPages::new(self.clone(), list)
    }

    /// Asks the API whether it takes the API key.
    ///
    /// # Errors
    ///
    /// It does not, which is [`ClientErrorKind::Unauthorized`], or it did not answer.
    pub async fn test_key(&self) -> Result<KeyTest, ClientError> {
        let answer = self
            .send(&Call::get("test", self.url(&["v1", "test"])))
            .await?;
        KeyTest::read(&answer)
    }

    /// Returns the current time of the client's clock.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.inner.time.now()
    }

    /// Waits for a duration by the client's clock.
    pub async fn sleep(&self, duration: Duration) {
        self.inner.time.sleep(duration).await;
    }

    async fn record(&self, mut job: SubmittedJob) -> SubmittedJob {
        let Some(log) = &self.inner.log else {
            return job;
        };
        if let Err(error) = log.record(&job).await {
            telemetry::not_recorded(&job, &*error);
            job.log_error = Some(error.into());
        }
        job
    }

    pub(crate) fn url(&self, path: &[&str]) -> Url {
        let mut url = self.inner.base.clone();
        // A base with a host, which the builder made sure of, has a path.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.inner.base.as_str())
            .field("key", &self.inner.key)
            .finish_non_exhaustive()
    }
}

/// An answer up to this size is read without a change of thread: a read takes about 1.5 ms a MiB.
const READ_INLINE: usize = 1024 * 1024;
