use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::job::SubmittedJob;

/// Records the jobs that a client submits, so that those whose webhook never comes can be fetched in time.
///
/// It is called once for every job that pyannoteAI took, before the submission returns. The job exists by then, and is
/// billed: if it cannot be recorded, the submission still succeeds, [`SubmittedJob::log_error`] says why, and it is logged
/// and counted. An error would tempt callers into submitting again.
///
/// Implement it as `async fn`; the future has to be `Send`.
///
/// # Example: a list in memory
///
/// ```no_run
/// use std::sync::Mutex;
/// use tower_pyannote::Kind;
/// use pyannoteai_client::{Client, SubmissionLog, SubmittedJob};
///
/// #[derive(Default)]
/// struct Submitted(Mutex<Vec<(String, Kind)>>);
///
/// impl SubmissionLog for Submitted {
///     async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
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

type Recording<'a> =
    Pin<Box<dyn Future<Output = Result<(), Box<dyn Error + Send + Sync>>> + Send + 'a>>;

/// A [`SubmissionLog`] of whatever type.
pub(crate) trait AnySubmissionLog: Send + Sync {
    fn record<'a>(&'a self, job: &'a SubmittedJob) -> Recording<'a>;
}

impl<L: SubmissionLog> AnySubmissionLog for L {
    fn record<'a>(&'a self, job: &'a SubmittedJob) -> Recording<'a> {
        Box::pin(self.submitted(job))
    }
}
