use std::time::{Duration, SystemTime};

use super::{SUBMISSIONS_KEPT, SqlStore, session::Value, span, statements as sql};
use crate::{
    error::InboxError,
    record::{Submission, job_key, kind, nanoseconds, time},
    store::{StoreFuture, SubmissionStore},
};
use tower_pyannote::{Kind, event::Text};

impl SqlStore {
    async fn put(
        &self,
        submission: &Submission,
        statement: &'static str,
    ) -> Result<(), InboxError> {
        let values = [
            Value::Bytes(&job_key(&submission.job_id)),
            Value::Text(&submission.job_id),
            Value::MaybeText(submission.kind.map(Kind::as_str)),
            Value::Bool(submission.status_only),
            Value::Int(nanoseconds(submission.submitted_at)),
        ];
        let mut session = self.engine.write().await?;
        session.run(statement, &values).await?;
        session.commit().await
    }
}

impl SubmissionStore for SqlStore {
    fn record<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()> {
        Box::pin(self.put(submission, RECORD))
    }

    fn awaited(&self) -> StoreFuture<'_, Vec<Submission>> {
        Box::pin(async move {
            let since = nanoseconds(SystemTime::now() - SUBMISSIONS_KEPT);
            let values = [Value::Int(since), Value::Int(MOST_AWAITED)];
            let mut session = self.engine.read().await?;
            let rows: Vec<(String, Option<String>, bool, i64)> =
                session.rows(AWAITED, &values).await?;
            session.commit().await?;
            let submissions = rows.into_iter().map(|row| {
                let (job_id, known, status_only, submitted_at) = row;
                Submission {
                    job_id: job_id.as_str().into(),
                    kind: known.as_deref().and_then(kind),
                    status_only,
                    submitted_at: time(submitted_at),
                }
            });
            Ok(submissions.collect())
        })
    }

    fn settled<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>> {
        Box::pin(async move {
            let mut settled = Vec::with_capacity(job_ids.len());
            let mut session = self.engine.read().await?;
            for job_id in job_ids {
                let value = [Value::Bytes(&job_key(job_id))];
                let found: Option<(i32,)> = session.row(SETTLED, &value).await?;
                settled.push(found.is_some());
            }
            session.commit().await?;
            Ok(settled)
        })
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        duration: Duration,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
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
        })
    }

    fn give_up<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()> {
        Box::pin(self.put(submission, GIVE_UP))
    }
}

const RECORD: &str = "\
INSERT INTO pyannote_submissions (job_key, job_id, kind, status_only, submitted_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (job_key) DO UPDATE SET kind = excluded.kind, status_only = excluded.status_only";

/// Not those of more than a week ago, because a submission stays as long as its event.
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

/// More than are submitted in a day.
const MOST_AWAITED: i64 = 200_000;
