use std::time::{Duration, SystemTime};

use super::{
    SUBMISSIONS_KEPT, SqlStore,
    session::{Session, Value},
    span, statements as sql,
};
use crate::{
    error::InboxError,
    record::{NewIntent, OwnData, Submission, job_key, kind, metadata, nanoseconds, time},
    unanswered::UnansweredSubmission,
};
use tower_pyannote::{
    Kind,
    event::{JobMetadata, Text},
};

impl SqlStore {
    /// Returns for each job whether a statement finds it.
    async fn each(
        &self,
        job_ids: &[Text],
        statement: &'static str,
    ) -> Result<Vec<bool>, InboxError> {
        let mut found = Vec::with_capacity(job_ids.len());
        let mut session = self.engine.read().await?;
        for job_id in job_ids {
            let value = [Value::Bytes(&job_key(job_id))];
            let row: Option<(i32,)> = session.row(statement, &value).await?;
            found.push(row.is_some());
        }
        session.commit().await?;
        Ok(found)
    }

    /// Begins a transaction that closes an intent.
    async fn closing(&self) -> Result<Session, InboxError> {
        let mut session = self.engine.write().await?;
        // Without the lock, two transactions that close the last two intents at the same time would not see each other's change.
        session
            .script(self.engine.choose("", LOCK_POSTGRES))
            .await?;
        Ok(session)
    }
}

/// Records a submission and releases the events that no longer wait for it.
async fn put(session: &mut Session, submission: &Submission) -> Result<(), InboxError> {
    let own = &submission.own;
    let trace = submission.trace.map(|trace| trace.to_string());
    let values = [
        Value::Bytes(&job_key(&submission.job_id)),
        Value::Text(&submission.job_id),
        Value::MaybeText(submission.kind.map(Kind::as_str)),
        Value::Bool(submission.status_only),
        Value::Int(nanoseconds(submission.submitted_at)),
        Value::MaybeText(own.reference.as_deref()),
        Value::MaybeText(own.metadata.as_ref().map(JobMetadata::as_str)),
        Value::MaybeText(own.media.as_deref()),
        Value::MaybeText(trace.as_deref()),
    ];
    session.run(RECORD, &values).await?;
    session.run(RELEASE, &[]).await.map(drop)
}

impl SqlStore {
    /// Records a submitted job, closes its intent, and makes the job's events due.
    pub(crate) async fn record(
        &self,
        submission: &Submission,
        intent_id: Option<&str>,
    ) -> Result<(), InboxError> {
        let mut session = match intent_id {
            Some(_) => self.closing().await?,
            None => self.engine.write().await?,
        };
        if let Some(id) = intent_id {
            session.run(CLOSE, &[Value::Text(id)]).await?;
        }
        put(&mut session, submission).await?;
        session.commit().await
    }

    /// Records a submission before it is sent. From now on, new events of unknown jobs wait until the submission has ended.
    pub(crate) async fn open_intent(&self, intent: &NewIntent) -> Result<(), InboxError> {
        let own = &intent.own;
        let values = [
            Value::Text(&intent.id),
            Value::Text(intent.kind.as_str()),
            Value::Bool(intent.status_only),
            Value::MaybeText(own.reference.as_deref()),
            Value::MaybeText(own.metadata.as_ref().map(JobMetadata::as_str)),
            Value::Int(span(intent.lifetime)),
        ];
        let mut session = self.engine.write().await?;
        session.run(OPEN, &values).await?;
        let week = [Value::Int(span(SUBMISSIONS_KEPT))];
        session.run(FORGET_INTENTS, &week).await?;
        session.commit().await
    }

    /// Ends the wait for an answer. Deletes the submission, or keeps it as unanswered if its job `may_exist`.
    pub(crate) async fn close_intent(&self, id: &str, may_exist: bool) -> Result<(), InboxError> {
        let statement = match may_exist {
            true => EXPIRE,
            false => CLOSE,
        };
        let mut session = self.closing().await?;
        session.run(statement, &[Value::Text(id)]).await?;
        session.run(RELEASE, &[]).await?;
        session.commit().await
    }

    /// Returns the submissions whose answer was lost, the oldest first.
    pub(crate) async fn unanswered(&self) -> Result<Vec<UnansweredSubmission>, InboxError> {
        let mut session = self.engine.read().await?;
        let rows = session
            .rows(UNANSWERED, &[Value::Int(MOST_UNANSWERED)])
            .await?;
        session.commit().await?;
        Ok(rows.into_iter().map(unanswered).collect())
    }

    /// Records the job of an unanswered submission. Returns `false` if there is none with this id.
    pub(crate) async fn answer(&self, id: &str, job_id: &Text) -> Result<bool, InboxError> {
        let mut session = self.closing().await?;
        let Some(row) = session.row(UNANSWERED_ONE, &[Value::Text(id)]).await? else {
            return Ok(false);
        };
        let found = unanswered(row);
        session.run(CLOSE, &[Value::Text(id)]).await?;
        let submission = Submission {
            job_id: job_id.clone(),
            kind: found.kind,
            status_only: found.webhook_status_only,
            submitted_at: found.begun_at,
            own: OwnData {
                reference: found.reference,
                metadata: found.metadata,
                media: None,
            },
            trace: None,
        };
        put(&mut session, &submission).await?;
        session.commit().await?;
        Ok(true)
    }

    /// Returns for each job whether its submission is recorded.
    pub(crate) async fn recorded(&self, job_ids: &[Text]) -> Result<Vec<bool>, InboxError> {
        self.each(job_ids, RECORDED).await
    }

    /// Returns the jobs of the last week whose end is not known, the oldest first.
    pub(crate) async fn awaited(&self) -> Result<Vec<Submission>, InboxError> {
        let since = nanoseconds(SystemTime::now() - SUBMISSIONS_KEPT);
        let values = [Value::Int(since), Value::Int(MOST_AWAITED)];
        let mut session = self.engine.read().await?;
        let rows: Vec<(String, Option<String>, bool, i64)> = session.rows(AWAITED, &values).await?;
        session.commit().await?;
        let submissions = rows.into_iter().map(|row| {
            let (job_id, known, status_only, submitted_at) = row;
            Submission {
                job_id: job_id.as_str().into(),
                kind: known.as_deref().and_then(kind),
                status_only,
                submitted_at: time(submitted_at),
                own: OwnData::default(),
                trace: None,
            }
        });
        Ok(submissions.collect())
    }

    /// Returns for each job whether it is settled: its event is or was in the inbox, or the reconciler gave the event up.
    pub(crate) async fn settled(&self, job_ids: &[Text]) -> Result<Vec<bool>, InboxError> {
        self.each(job_ids, SETTLED).await
    }

    /// Takes or renews a lease. Returns `false` if another holder has it.
    pub(crate) async fn lease(
        &self,
        name: &str,
        holder: &str,
        duration: Duration,
    ) -> Result<bool, InboxError> {
        let values = [
            Value::Text(name),
            Value::Text(holder),
            Value::Int(span(duration)),
        ];
        let mut session = self.engine.write().await?;
        session.run(sql::REBASE_LEASES, &[]).await?;
        let taken = session.run(sql::LEASE, &values).await?;
        session.commit().await?;
        Ok(taken > 0)
    }

    /// Records that the event of a job is lost, so that nobody fetches it again.
    pub(crate) async fn give_up(&self, submission: &Submission) -> Result<(), InboxError> {
        let values = [
            Value::Bytes(&job_key(&submission.job_id)),
            Value::Text(&submission.job_id),
            Value::MaybeText(submission.kind.map(Kind::as_str)),
            Value::Bool(submission.status_only),
            Value::Int(nanoseconds(submission.submitted_at)),
        ];
        let mut session = self.engine.write().await?;
        session.run(GIVE_UP, &values).await?;
        session.commit().await
    }
}

type IntentRow = (
    String,
    String,
    bool,
    Option<String>,
    Option<String>,
    i64,
    i64,
);

fn unanswered(row: IntentRow) -> UnansweredSubmission {
    let (id, known, webhook_status_only, reference, json, begun_at, expires_at) = row;
    UnansweredSubmission {
        id: id.into(),
        kind: kind(&known),
        webhook_status_only,
        reference: reference.map(Text::from),
        metadata: json.and_then(metadata),
        begun_at: time(begun_at),
        ended_at: time(expires_at),
    }
}

const RECORD: &str = "\
INSERT INTO pyannote_submissions (job_key, job_id, kind, status_only, submitted_at, reference, metadata, media, traceparent)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (job_key) DO UPDATE SET kind = excluded.kind, status_only = excluded.status_only,
    reference = excluded.reference, metadata = excluded.metadata, media = excluded.media,
    traceparent = excluded.traceparent";

/// The client opens an intent again when it repeats a request that was refused for the rate limit.
const OPEN: &str = "\
INSERT INTO pyannote_intents (id, kind, status_only, reference, metadata, begun_at, expires_at)
VALUES ($1, $2, $3, $4, $5, now_ns(), now_ns() + $6)
ON CONFLICT (id) DO UPDATE SET begun_at = excluded.begun_at, expires_at = excluded.expires_at";

const CLOSE: &str = "DELETE FROM pyannote_intents WHERE id = $1";

const EXPIRE: &str =
    "UPDATE pyannote_intents SET expires_at = now_ns() WHERE id = $1 AND expires_at > now_ns()";

const FORGET_INTENTS: &str = "DELETE FROM pyannote_intents WHERE expires_at < now_ns() - $1";

/// Makes events due whose submission is known by now, or can no longer become known. Leaves out events that ran before, because
/// they wait for their retry.
const RELEASE: &str = "\
UPDATE pyannote_events SET queued_at = now_ns(), due_at = now_ns(), held_at = NULL
WHERE held_at IS NOT NULL AND claims = 0 AND (
    EXISTS (SELECT 1 FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key)
    OR NOT EXISTS (
        SELECT 1 FROM pyannote_intents i WHERE i.begun_at <= pyannote_events.held_at AND i.expires_at > now_ns()))";

/// Locks a row until the transaction ends. Some databases that are compatible with PostgreSQL have no advisory locks.
const LOCK_POSTGRES: &str = "\
INSERT INTO pyannote_probe (id, written_at) VALUES (2, now_ns())
ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at";

const UNANSWERED: &str = "\
SELECT id, kind, status_only, reference, metadata, begun_at, expires_at FROM pyannote_intents
WHERE expires_at <= now_ns() ORDER BY begun_at LIMIT $1";

const UNANSWERED_ONE: &str = "\
SELECT id, kind, status_only, reference, metadata, begun_at, expires_at FROM pyannote_intents
WHERE expires_at <= now_ns() AND id = $1";

/// A job without a kind was noted when its event was removed.
const RECORDED: &str = "\
SELECT 1 FROM pyannote_submissions WHERE job_key = $1 AND kind IS NOT NULL";

/// Leaves out submissions of more than a week ago, because a submission stays as long as its event.
const AWAITED: &str = "\
SELECT s.job_id, s.kind, s.status_only, s.submitted_at FROM pyannote_submissions s
WHERE s.outcome IS NULL AND s.submitted_at > $1 AND NOT EXISTS (
    SELECT 1 FROM pyannote_events e
    WHERE e.job_key = s.job_key AND e.status IN ('succeeded', 'failed', 'canceled'))
ORDER BY s.submitted_at LIMIT $2";

const SETTLED: &str = "\
SELECT 1 WHERE EXISTS (
    SELECT 1 FROM pyannote_events WHERE job_key = $1 AND status IN ('succeeded', 'failed', 'canceled'))
OR EXISTS (SELECT 1 FROM pyannote_submissions WHERE job_key = $1 AND outcome IS NOT NULL)";

const GIVE_UP: &str = "\
INSERT INTO pyannote_submissions (job_key, job_id, kind, status_only, submitted_at, outcome)
VALUES ($1, $2, $3, $4, $5, 'lost') ON CONFLICT (job_key) DO UPDATE SET outcome = excluded.outcome";

/// More than a person reads.
const MOST_UNANSWERED: i64 = 1_000;

/// More than are submitted in a day.
const MOST_AWAITED: i64 = 200_000;
