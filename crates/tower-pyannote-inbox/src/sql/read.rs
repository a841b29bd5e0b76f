//! Reads entries of the list and the details of one event.

use sqlx::FromRow;

use super::{
    SqlStore, listing,
    session::{Session, Value},
    unsigned,
};
use crate::{
    details::{HandlerResult, InboxConflict, InboxDetails},
    entry::{InboxEntry, InboxState},
    error::InboxError,
    filter::InboxFilter,
    record::{job_key, kind, metadata, source, storable, time},
};
use tower_pyannote::event::Retry;

impl SqlStore {
    /// Returns entries, newest first.
    pub(crate) async fn list(&self, filter: &InboxFilter) -> Result<Vec<InboxEntry>, InboxError> {
        let mut session = self.engine.read().await?;
        let entries = list(&mut session, filter).await?;
        session.commit().await?;
        Ok(entries)
    }

    /// Returns an event with the results of its handlers.
    pub(crate) async fn details(&self, id: i64) -> Result<Option<InboxDetails>, InboxError> {
        let mut session = self.engine.read().await?;
        let filter = InboxFilter::new().with_id(id.to_string()).with_limit(1);
        let Some(entry) = list(&mut session, &filter).await?.pop() else {
            return Ok(None);
        };
        let number = [Value::Int(id)];
        let stored: Option<(Vec<u8>, i64, Option<String>)> =
            session.row(listing::DIGEST_AND_MEDIA_OF, &number).await?;
        let (sha256, signed_at, media) = stored.unwrap_or_default();
        let results: Vec<(String, Option<String>)> =
            session.rows(listing::RESULTS_OF, &number).await?;
        let conflicts: Vec<(Vec<u8>, i64, i64)> =
            session.rows(listing::CONFLICTS_OF, &number).await?;
        session.commit().await?;
        let results = results.into_iter();
        let conflicts = conflicts.into_iter();
        Ok(Some(InboxDetails {
            entry,
            sha256: sha256.try_into().unwrap_or_default(),
            signed_at: u64::from_ne_bytes(signed_at.to_ne_bytes()),
            media,
            results: results
                .map(|(handler, error)| HandlerResult { handler, error })
                .collect(),
            conflicts: conflicts
                .map(|(sha256, received_at, bytes)| InboxConflict {
                    sha256: sha256.try_into().unwrap_or_default(),
                    received_at: time(received_at),
                    bytes: unsigned(bytes),
                })
                .collect(),
        }))
    }
}

async fn list(session: &mut Session, filter: &InboxFilter) -> Result<Vec<InboxEntry>, InboxError> {
    if let Some(above) = filter.above {
        let values = [Value::Int(above), Value::Int(filter.limit.into())];
        let rows: Vec<EntryRow> = session.rows(listing::BY_ID, &values).await?;
        return Ok(rows.into_iter().map(InboxEntry::from).collect());
    }
    let job_key = filter.job_id.as_deref().map(job_key);
    // No event has a negative id.
    let id = filter.id.as_deref().map(|id| id.parse().unwrap_or(-1));
    let (after, before) = filter.bounds();
    // As it is stored, because PostgreSQL refuses NUL. No stored reference has a control character.
    let status = filter.status.as_deref().map(storable);
    let reference = filter
        .reference
        .as_deref()
        .map(|text| text.replace('\0', "\u{fffd}"));
    let values = [
        Value::Int(after.0),
        Value::Int(after.1),
        Value::Int(before.0),
        Value::Int(before.1),
        Value::MaybeText(filter.state.map(InboxState::as_str)),
        Value::Bool(job_key.is_some()),
        Value::Bytes(&job_key.unwrap_or_default()),
        Value::MaybeInt(id),
        Value::MaybeText(status.as_deref()),
        Value::MaybeText(filter.kind_name()),
        Value::Int(filter.limit.into()),
        Value::MaybeText(reference.as_deref()),
    ];
    let rows: Vec<EntryRow> = session.rows(listing::list(filter), &values).await?;
    let mut entries: Vec<_> = rows.into_iter().map(InboxEntry::from).collect();
    if filter.is_oldest_first() {
        entries.reverse();
    }
    Ok(entries)
}

#[derive(FromRow)]
struct EntryRow {
    id: i64,
    job_id: String,
    status: String,
    kind: Option<String>,
    reference: Option<String>,
    metadata: Option<String>,
    source: String,
    state: String,
    attempts: i64,
    body_bytes: i64,
    received_at: i64,
    retry_number: Option<i64>,
    retry_reason: Option<String>,
    due_at: Option<i64>,
    finished_at: Option<i64>,
    last_error: Option<String>,
    conflicts: i64,
}

impl From<EntryRow> for InboxEntry {
    fn from(row: EntryRow) -> Self {
        let number = row.retry_number.map(|number| number.to_string());
        Self {
            id: row.id.to_string(),
            job_id: row.job_id,
            status: row.status,
            kind: row.kind.as_deref().and_then(kind),
            reference: row.reference,
            metadata: row.metadata.and_then(metadata),
            source: source(&row.source),
            state: InboxState::from_name(&row.state),
            attempts: u32::try_from(row.attempts).unwrap_or_default(),
            bytes: unsigned(row.body_bytes),
            received_at: time(row.received_at),
            retry: Retry::from_headers(
                number.as_deref().map(str::as_bytes),
                row.retry_reason.as_deref().map(str::as_bytes),
            ),
            next_attempt_at: row.due_at.map(time),
            finished_at: row.finished_at.map(time),
            last_error: row.last_error,
            conflicts: unsigned(row.conflicts),
        }
    }
}
