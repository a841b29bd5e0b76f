use std::{
    error::Error,
    fmt,
    time::{Instant, SystemTime},
};

use tokio::time;

use super::{
    Inbox, InboxError,
    record::job_key,
    store::{ANSWER, StoreFuture},
    worker::PAUSE,
};
use pyannoteai_client::{SubmissionLog, SubmittedJob};
use tower_pyannote::{Kind, event::Text};

/// Records in an inbox the jobs that a client submits, from [`Inbox::submissions`].
///
/// A [`Reconciler`](crate::Reconciler) fetches those whose webhook does not come, and
/// [`WebhookEvent::job_kind`](tower_pyannote::WebhookEvent::job_kind) tells handlers the kind of one that failed. What was
/// recorded is removed after 7 days, once its event is gone too; if its event never came, that is logged as an error.
///
/// Where the database fails, it tries again for 10 s, even if whoever submits the job goes away meanwhile.
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

impl Submissions {
    pub(crate) fn new(inbox: Inbox) -> Self {
        Self { inbox }
    }
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
        // A task of its own: the job is submitted, and billed, whether or not its caller waits for this.
        let recorded = tokio::spawn(async move { inbox.record_submission(&submission).await });
        Ok(recorded.await??)
    }
}

impl fmt::Debug for Submissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submissions").finish_non_exhaustive()
    }
}

/// What is known of a job beside its event.
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) job_id: Text,
    pub(crate) kind: Option<Kind>,
    /// Whether its webhook comes without the output.
    pub(crate) status_only: bool,
    pub(crate) submitted_at: SystemTime,
}

impl Submission {
    pub(crate) fn job_key(&self) -> [u8; 32] {
        job_key(&self.job_id)
    }
}

/// What a store can do for a client and a reconciler.
pub(crate) trait SubmissionStore {
    /// Records a job that was submitted.
    fn record<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()>;

    /// The jobs that were submitted in the last week and whose end is not known, the oldest first.
    fn awaited(&self) -> StoreFuture<'_, Vec<Submission>>;

    /// Of each of these jobs, whether its end is known: its event is here, was here, or is given up.
    fn settled<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>>;

    /// Gives up the event of a job.
    fn give_up<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()>;
}

impl Inbox {
    /// Makes what records the jobs that a client submits.
    #[must_use]
    pub fn submissions(&self) -> Submissions {
        Submissions::new(self.clone())
    }

    /// Tries for 10 s, as it may be all that tells of the job.
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

    pub(crate) async fn give_up(&self, submission: &Submission) -> Result<(), InboxError> {
        self.database.ask(|store| store.give_up(submission)).await
    }
}

/// Implements [`SubmissionStore`] for a database of sqlx.
macro_rules! submission_store {
    ($store:ty) => {
        impl $store {
            /// Writes a submission by a statement whose first five parameters are its columns.
            async fn put_submission(
                &self,
                submission: &Submission,
                statement: &'static str,
            ) -> Result<(), InboxError> {
                let mut tx = self.write().await?;
                sqlx::query(statement)
                    .bind(&submission.job_key()[..])
                    .bind(&*submission.job_id)
                    .bind(submission.kind.map(|kind| kind.as_str()))
                    .bind(submission.status_only)
                    .bind(nanoseconds(submission.submitted_at))
                    .execute(&mut *tx)
                    .await
                    .map_err(failed)?;
                tx.commit().await.map_err(failed)
            }
        }

        impl SubmissionStore for $store {
            fn record<'a>(
                &'a self,
                submission: &'a Submission,
            ) -> StoreFuture<'a, ()> {
                Box::pin(self.put_submission(
                    submission,
                    "INSERT INTO pyannote_submissions \
                     (job_key, job_id, kind, status_only, submitted_at) VALUES ($1, $2, $3, $4, $5) \
                     ON CONFLICT (job_key) DO UPDATE \
                     SET kind = excluded.kind, status_only = excluded.status_only",
                ))
            }

            fn awaited(&self) -> StoreFuture<'_, Vec<Submission>> {
                Box::pin(async move {
                    let rows = sqlx::query(concat!(
                        "SELECT s.job_id, s.kind, s.status_only, s.submitted_at FROM pyannote_submissions s \
                         WHERE s.outcome IS NULL AND NOT ", received!("s.job_key"),
                        " AND s.submitted_at > $1 ORDER BY s.submitted_at LIMIT $2",
                    ))
                    // Not every one whose event is kept: that may be for ever.
                    .bind(nanoseconds(SystemTime::now() - REMEMBERED))
                    .bind(MOST_AWAITED)
                    .fetch_all(self.read())
                    .await
                    .map_err(failed)?;
                    let read = rows.iter().map(|row| {
                        let known: Option<String> = row.try_get(1)?;
                        Ok(Submission {
                            job_id: row.try_get::<&str, _>(0)?.into(),
                            kind: known.as_deref().and_then(kind),
                            status_only: row.try_get(2)?,
                            submitted_at: time(row.try_get(3)?),
                        })
                    });
                    read.collect::<Result<_, _>>().map_err(failed)
                })
            }

            fn settled<'a>(
                &'a self,
                job_ids: &'a [Text],
            ) -> StoreFuture<'a, Vec<bool>> {
                Box::pin(async move {
                    let mut settled = Vec::with_capacity(job_ids.len());
                    for job_id in job_ids {
                        let row = sqlx::query(concat!(
                            "SELECT ", received!("$1"), " OR EXISTS (SELECT 1 FROM pyannote_submissions \
                             WHERE job_key = $1 AND outcome IS NOT NULL)",
                        ))
                        .bind(job_key(job_id).to_vec())
                        .fetch_one(self.read())
                        .await
                        .map_err(failed)?;
                        settled.push(row.try_get(0).map_err(failed)?);
                    }
                    Ok(settled)
                })
            }

            fn give_up<'a>(
                &'a self,
                submission: &'a Submission,
            ) -> StoreFuture<'a, ()> {
                Box::pin(self.put_submission(
                    submission,
                    "INSERT INTO pyannote_submissions \
                     (job_key, job_id, kind, status_only, submitted_at, outcome) \
                     VALUES ($1, $2, $3, $4, $5, 'lost') \
                     ON CONFLICT (job_key) DO UPDATE SET outcome = excluded.outcome",
                ))
            }
        }
    };
}

/// Whether there is an event of how a job ended.
macro_rules! received {
    ($job_key:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM pyannote_events WHERE job_key = ",
            $job_key,
            " AND status IN ('succeeded', 'failed', 'canceled'))"
        )
    };
}

pub(crate) use {received, submission_store};

/// More than are submitted in a day.
pub(crate) const MOST_AWAITED: i64 = 200_000;
