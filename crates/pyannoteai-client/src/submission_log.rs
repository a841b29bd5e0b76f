use std::error::Error;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::job::SubmittedJob;

/// Records submitted jobs, so that the events of lost webhooks can be fetched before they expire.
///
/// The client calls it once for each submitted job, before the submission returns. If it fails, the submission succeeds
/// all the same, because the job exists and an error would invite a second submission. [`SubmittedJob::log_error`] then
/// has the error, and it is logged and counted.
///
/// Implement the method as `async fn`. Its future must be `Send`.
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
pub trait SubmissionLog: Send + Sync + 'static {
    /// Records a job.
    ///
    /// # Errors
    ///
    /// Returns any error if the job could not be recorded.
    fn submitted(
        &self,
        job: &SubmittedJob,
    ) -> impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send;
}

impl<L: SubmissionLog> SubmissionLog for Arc<L> {
    async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        L::submitted(self, job).await
    }
}

/// The object-safe form of [`SubmissionLog`].
pub(crate) trait DynSubmissionLog: Send + Sync {
    fn record<'a>(
        &'a self,
        job: &'a SubmittedJob,
    ) -> BoxFuture<'a, Result<(), Box<dyn Error + Send + Sync>>>;
}

impl<L: SubmissionLog> DynSubmissionLog for L {
    fn record<'a>(
        &'a self,
        job: &'a SubmittedJob,
    ) -> BoxFuture<'a, Result<(), Box<dyn Error + Send + Sync>>> {
        Box::pin(self.submitted(job))
    }
}
