use std::{
    error::Error,
    fmt,
    time::{Duration, Instant},
};

use tokio::time;

use crate::{
    error::InboxError,
    held::PAUSE,
    inbox::Inbox,
    record::{NewIntent, OwnData, Submission},
    sql::SqlStore,
    store::ANSWER,
};
use pyannoteai_client::{SubmissionIntent, SubmissionLog, SubmittedJob};
use tower_pyannote::event::Text;

/// Records in an inbox the jobs that a client submits. [`Inbox::submissions`] creates it.
///
/// A [`Reconciler`](crate::Reconciler) fetches the events of those jobs whose webhook does not arrive, and
/// [`WebhookEvent::job_kind`](tower_pyannote::WebhookEvent::job_kind) returns the kind of a job that failed. A record is
/// removed after 7 days, once its event is removed too; if its event never arrived, that is logged as an error.
///
/// If the database fails, recording is retried for 10 s, even if the caller that submits the job goes away.
///
/// # Reference and metadata
///
/// A request with [`with_reference`](pyannoteai_client::DiarizeRequest::with_reference) or
/// [`with_metadata`](pyannoteai_client::DiarizeRequest::with_metadata) is recorded as an *intent* before it is sent. The
/// answer adds the job's id. Handlers then get the event with its [`reference`](tower_pyannote::WebhookEvent::reference) and
/// [`metadata`](tower_pyannote::WebhookEvent::metadata), from a webhook or from a reconciler, also at retries and replays.
/// [`InboxEntry`](crate::InboxEntry) has them too.
///
/// 1. A webhook that arrives before the answer is committed and acknowledged at once. Its handlers wait until the answer is
///    recorded. The wait is in the database, so it holds for all processes of the inbox.
/// 2. An event waits only if its job is unknown, and only for intents that were recorded before the event was committed. The
///    wait ends when each of these intents is answered, refused or failed. It takes at most the client's timeout plus 15 s, 75 s
///    by default. So an event of a job that was submitted elsewhere waits at most that long, and usually for some
///    milliseconds. Without an open intent no event waits.
/// 3. If the answer is lost, because the process ended or the connection broke, the events run without the reference once the
///    wait is over. [`Inbox::unanswered_submissions`] returns such submissions for 7 days, and a
///    [`Reconciler`](crate::Reconciler) logs each with the jobs that it may have created. The inbox assigns no job by guess,
///    because any program with a key of the team may have created such a job. [`Inbox::answer_submission`] assigns one.
///
/// # Traces
///
/// An inbox with a [`TracePropagation`](crate::TracePropagation) records the context of the submission's span. The span of the
/// event's delivery is then a child of the submission's span.
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
            own: OwnData {
                reference: job.reference.clone(),
                metadata: job.metadata.clone(),
                media: job.media.as_deref().map(Text::from),
            },
            trace: self.inbox.traces.current(),
        };
        let (inbox, intent_id) = (self.inbox.clone(), job.intent_id.clone());
        // In a task, because the job is submitted, and billed, whether or not its caller waits.
        let recorded = tokio::spawn(async move {
            let intent_id = intent_id.as_deref();
            inbox
                .persist(|store| store.record(&submission, intent_id))
                .await
        });
        Ok(recorded.await??)
    }

    async fn submitting(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let intent = NewIntent {
            id: intent.id.clone(),
            kind: intent.kind,
            status_only: intent.webhook_status_only,
            own: OwnData {
                reference: intent.reference.clone(),
                metadata: intent.metadata.clone(),
                media: None,
            },
            lifetime: intent.timeout.saturating_add(RECORDING).min(LONGEST_WAIT),
        };
        let opened = self.inbox.persist(|store| store.open_intent(&intent));
        Ok(opened.await?)
    }

    async fn not_submitted(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.close(intent, false).await
    }

    async fn unanswered(
        &self,
        intent: &SubmissionIntent,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.close(intent, true).await
    }
}

impl Submissions {
    async fn close(
        &self,
        intent: &SubmissionIntent,
        may_exist: bool,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        let (inbox, id) = (self.inbox.clone(), intent.id.clone());
        let closed = tokio::spawn(async move {
            inbox
                .persist(|store| store.close_intent(&id, may_exist))
                .await
        });
        Ok(closed.await??)
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

    /// Retries for 10 s, because the job may be recorded nowhere else. Wakes the workers at the end, because events may be due.
    async fn persist<'a, F>(&'a self, work: impl Fn(&'a SqlStore) -> F) -> Result<(), InboxError>
    where
        F: Future<Output = Result<(), InboxError>> + Send + 'a,
    {
        let begun = Instant::now();
        loop {
            let done = self.database.ask(&work).await;
            if done.is_ok() || begun.elapsed() + PAUSE >= ANSWER {
                self.wake.notify();
                return done;
            }
            time::sleep(PAUSE).await;
        }
    }

    /// Returns for each job whether its submission is recorded.
    pub(crate) async fn recorded(&self, job_ids: &[Text]) -> Result<Vec<bool>, InboxError> {
        self.database.ask(|store| store.recorded(job_ids)).await
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

/// How long recording the answer may take after it arrived.
const RECORDING: Duration = Duration::from_secs(15);

/// How long an event waits for an answer at most, whatever the client's timeout.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);
