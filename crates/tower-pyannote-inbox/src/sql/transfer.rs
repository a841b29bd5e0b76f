//! Events that come from another inbox.

use super::{
    SqlStore,
    session::{Session, Value},
    work,
};
use crate::{entry::Commit, error::InboxError, record::nanoseconds, transfer::Import};

impl SqlStore {
    /// Commits an event of another inbox, in the state that it has there.
    pub(crate) async fn import(&self, import: &Import) -> Result<Commit, InboxError> {
        let mut session = self.engine.write().await?;
        let batch = std::slice::from_ref(&import.record);
        let commits = work::commit(&mut session, batch).await?;
        let commit = commits.into_iter().next().unwrap_or(Commit::Duplicate);
        if commit == Commit::New {
            let state = &import.state;
            let values = [
                Value::Bytes(&import.record.event_key),
                Value::Text(state.state.as_str()),
                Value::Int(state.attempts.into()),
                Value::MaybeInt(state.finished().map(nanoseconds)),
                Value::MaybeText(state.last_error.as_deref()),
            ];
            session.run(SET_STATE, &values).await?;
            submit(&mut session, import).await?;
        }
        session.commit().await?;
        Ok(commit)
    }
}

/// Records what was submitted with the job, unless this inbox knows the job.
async fn submit(session: &mut Session, import: &Import) -> Result<(), InboxError> {
    if import.reference.is_none() && import.metadata.is_none() {
        return Ok(());
    }
    let record = &import.record;
    let values = [
        Value::Bytes(&record.job_key),
        Value::Text(&record.job_id),
        Value::MaybeText(import.job_kind),
        Value::Bool(record.kind.is_none()),
        Value::Int(record.received_at),
        Value::MaybeText(import.reference.as_deref()),
        Value::MaybeText(import.metadata.as_deref()),
    ];
    session.run(SUBMIT, &values).await.map(drop)
}

const SET_STATE: &str = "\
UPDATE pyannote_events SET state = $2, attempts = $3, finished_at = $4, last_error = $5 WHERE event_key = $1";

const SUBMIT: &str = "\
INSERT INTO pyannote_submissions (job_key, job_id, kind, status_only, submitted_at, reference, metadata)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (job_key) DO NOTHING";
