use std::error::Error;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use tower_pyannote::Kind;
use tower_pyannote::event::{JobMetadata, Text};

use crate::job::SubmittedJob;

/// Records submitted jobs, so that the events of lost webhooks can be fetched before they expire.
///
/// The client calls [`submitted`](Self::submitted) once for each submitted job, before the submission returns. If it fails,
/// the submission succeeds all the same, because the job exists and an error would invite a second submission.
/// [`SubmittedJob::log_error`] then has the error, and it is logged and counted.
///
/// **The reference and metadata of a request** must be known when the job's webhook arrives, which may be before the answer
/// to the submission. For a request that has them, the client therefore calls [`submitting`](Self::submitting) before each
/// attempt to send it, and one of the other methods after the attempt. If the process ends during the attempt, no other method
/// is called.
///
/// Implement the methods as `async fn`. Their futures must be `Send`.
///
/// # Example: a list in memory
///
/// ```no_run
/// use std::error::Error;
/// use std::sync::Mutex;
/// use pyannoteai_client::{Client, SubmissionLog, SubmittedJob};
/// use tower_pyannote::Kind;
///
/// #[derive(Default)]
/// struct Submitted(Mutex<Vec<(String, Kind)>>);
///
/// impl SubmissionLog for Submitted {
///     async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
///         self.0.lock().unwrap().push((job.job_id.to_string(), job.kind));
///         Ok(())
///     }
/// }
///
/// let client = Client::builder("sk_example").with_submission_log(Submitted::default()).build()?;
/// # Ok::<(), pyannoteai_client::ConfigError>(())
/// ```
#[expect(unused_variables, reason = "the default methods do nothing")]
pub trait SubmissionLog: Send + Sync + 'static {
    /// Records a job, and closes its intent if it has one.
    ///
    /// # Errors
    ///
    /// Returns any error if the job could not be recorded.
    fn submitted(
        &self,
        job: &SubmittedJob,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send;

    /// Records that a request with a reference or metadata is about to be sent. Default: does nothing.
    ///
    /// # Errors
    ///
    /// Returns any error if the intent could not be recorded. The request is then not sent, and the submission fails with
    /// [`NotRecorded`](crate::ClientErrorKind::NotRecorded).
    fn submitting(
        &self,
        intent: &SubmissionIntent,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send {
        async { Ok(()) }
    }

    /// Removes an intent, because the request created no job. Default: does nothing.
    ///
    /// # Errors
    ///
    /// Returns any error, which is logged.
    fn not_submitted(
        &self,
        intent: &SubmissionIntent,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send {
        async { Ok(()) }
    }

    /// Records that the answer to an intent was lost, so that a job may exist whose id is unknown. Default: does nothing.
    ///
    /// # Errors
    ///
    /// Returns any error, which is logged.
    fn unanswered(
        &self,
        intent: &SubmissionIntent,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send {
        async { Ok(()) }
    }
}

/// A request with a reference or metadata that is about to be sent. Its job has no id yet.
///
/// `Debug` shows only the length of the metadata.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubmissionIntent {
    /// An id of its own. [`SubmittedJob::intent_id`] repeats it.
    pub id: Text,
    /// The kind of the job's output.
    pub kind: Kind,
    /// Whether the job's webhook has only the status, without the output.
    pub webhook_status_only: bool,
    /// The reference of the request.
    pub reference: Option<Text>,
    /// The JSON of the request.
    pub metadata: Option<JobMetadata>,
    /// When the request is sent, by the client's clock.
    pub begun_at: SystemTime,
    /// How long the client waits for the answer: the client's timeout.
    pub timeout: Duration,
}

impl<L: SubmissionLog> SubmissionLog for Arc<L> {
    async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        L::submitted(self, job).await
    }

    async fn submitting(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        L::submitting(self, intent).await
    }

    async fn not_submitted(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        L::not_submitted(self, intent).await
    }

    async fn unanswered(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        L::unanswered(self, intent).await
    }
}

/// A call of a submission log, with its argument.
#[derive(Clone, Copy)]
pub(crate) enum Notice<'a> {
    Submitted(&'a SubmittedJob),
    Submitting(&'a SubmissionIntent),
    NotSubmitted(&'a SubmissionIntent),
    Unanswered(&'a SubmissionIntent),
}

/// The object-safe form of [`SubmissionLog`].
pub(crate) trait DynSubmissionLog: Send + Sync {
    fn tell<'a>(
        &'a self,
        notice: Notice<'a>,
    ) -> BoxFuture<'a, Result<(), Box<dyn Error + Send + Sync>>>;
}

impl<L: SubmissionLog> DynSubmissionLog for L {
    fn tell<'a>(
        &'a self,
        notice: Notice<'a>,
    ) -> BoxFuture<'a, Result<(), Box<dyn Error + Send + Sync>>> {
        match notice {
            Notice::Submitted(job) => Box::pin(self.submitted(job)),
            Notice::Submitting(intent) => Box::pin(self.submitting(intent)),
            Notice::NotSubmitted(intent) => Box::pin(self.not_submitted(intent)),
            Notice::Unanswered(intent) => Box::pin(self.unanswered(intent)),
        }
    }
}
