use std::time::SystemTime;

use crate::{error::InboxError, inbox::Inbox};
use tower_pyannote::{
    Kind,
    event::{JobMetadata, Text},
};

/// A submission with a reference or metadata whose answer was lost: the process ended before the answer, the connection broke, or
/// the answer could not be recorded.
///
/// The submission may have created a job. The event of this job then has no reference. No field of a job names its submission,
/// so the inbox never assigns a job by itself. Use [`Inbox::answer_submission`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct UnansweredSubmission {
    /// The id of the submission in this inbox.
    pub id: Text,
    /// The kind of the job's output.
    pub kind: Option<Kind>,
    /// Whether the job's webhook has only the status, without the output.
    pub webhook_status_only: bool,
    /// The reference.
    pub reference: Option<Text>,
    /// The JSON. `Debug` shows only its length.
    pub metadata: Option<JobMetadata>,
    /// When the request was sent, by the database's clock. If a job exists, pyannoteAI created it between this time and the next.
    pub begun_at: SystemTime,
    /// When the wait for the answer ended.
    pub ended_at: SystemTime,
}

impl Inbox {
    /// Returns the submissions of the last 7 days whose answer was lost, the oldest first, at most 1,000.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn unanswered_submissions(&self) -> Result<Vec<UnansweredSubmission>, InboxError> {
        self.database.ask(|store| store.unanswered()).await
    }

    /// Records which job an unanswered submission created, as if its answer had arrived. Returns `false` if there is no
    /// unanswered submission with this id.
    ///
    /// The job's events have the reference and metadata from then on. [Replay](Self::replay) an event that was handled before.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn answer_submission(
        &self,
        id: &str,
        job_id: impl Into<Text>,
    ) -> Result<bool, InboxError> {
        let job_id = job_id.into();
        let answered = self.database.ask(|store| store.answer(id, &job_id)).await?;
        self.wake.notify();
        Ok(answered)
    }
}
