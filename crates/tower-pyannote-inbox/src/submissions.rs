use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{error::InboxError, held::PAUSE, inbox::Inbox, record::Submission, store::ANSWER};
use pyannoteai_client::{SubmissionLog, SubmittedJob};
use tower_pyannote::event::Text;

/// Records in an inbox the jobs that a client submits. [`Inbox::submissions`] creates it.
///
/// A [`Reconciler`](crate::Reconciler) fetches the events of those jobs whose webhook does not arrive, and
/// [`WebhookEvent::job_kind`](tower_pyannote::WebhookEvent::job_kind) returns the kind of a job that failed. A record is
/// removed after 7 days, once its event is removed too; if its event never arrived, that is logged as an error.
///
/// If the database fails, recording is retried for 10 s, even if the caller that submits the job goes away.
///
/// # Example
///
/// ```no_run
/// use pyannoteai_client::Client;
/// use tower_pyannote_inbox::Inbox;
///
/// # async fn open() -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
/// let client = Client::builder_from_env()?.with_submission_log(inbox.submissions()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Submissions {
    inbox: Inbox,
}

impl SubmissionLog for Submissions {
    async fn submitted(&self, job: &SubmittedJob) -> Result<(), Box<dyn Error + Send + Sync>> {
        let submission = Submission {
            job_id: job.job_id.clone(),
            kind: Some(job.kind),
            status_only: job.webhook_status_only,
            submitted_at: job.submitted_at,
        };
        let inbox = self.inbox.clone();
        // In a task, because the job is submitted, and billed, whether or not its caller waits.
        let recorded = tokio::spawn(async move { inbox.record_submission(&submission).await });
        Ok(recorded.await??)
    }
}

impl fmt::Debug for Submissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions").finish_non_exhaustive()
    }
}

impl Inbox {
    /// Creates a log that records in this inbox the jobs that a client submits.
    #[must_use]
    pub fn submissions(&self) -> Submissions {
        Submissions {
            inbox: self.clone(),
        }
    }

    /// Retries for 10 s, because nothing else may know of the job.
    async fn record_submission(&self, submission: &Submission) -> Result<(), InboxError> {
        let begun = Instant::now();
        loop {
            let recorded = self.database.ask(|store| store.record(submission)).await;
            if recorded.is_ok() || begun.elapsed() + PAUSE >= ANSWER {
                return recorded;
            }
            time::sleep(PAUSE).await;
        }
    }

    pub(crate) async fn awaited(&self) -> Result<Vec<Submission>, InboxError> {
        self.database.ask(|store| store.awaited()).await
    }

    pub(crate) async fn settled(&self, job_ids: &[Text]) -> Result<Vec<bool>, InboxError> {
        self.database.ask(|store| store.settled(job_ids)).await
    }

    /// Takes or renews the lease of the reconciler; `false` if another one has it.
    pub(crate) async fn lease_to_reconciler(
        &self,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, InboxError> {
        self.database
            .ask(|store| store.lease("reconciler", holder, duration))
            .await
    }

    pub(crate) async fn give_up(&self, submission: &Submission) -> Result<(), InboxError> {
        self.database.ask(|store| store.give_up(submission)).await
    }
}
