use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;
use sqlx::{ColumnIndex, Decode, FromRow, Row, Type};

use super::{
    session::{Session, Value},
    span, statements as sql, unsigned,
};
use crate::{
    entry::Commit,
    error::{InboxError, InboxErrorKind},
    record::{Kept, Record, Stored},
    store::{Claim, Claimed, ClaimedRow, End, Outcome, SMALL, Settled},
};

/// Commits a batch, and keeps the bodies of conflicts.
pub(super) async fn commit(
    session: &mut Session,
    batch: &[Record],
) -> Result<Vec<Commit>, InboxError> {
    let mut new = insert(session, batch).await?;
    if new.len() == batch.len() {
        return Ok(vec![Commit::New; batch.len()]);
    }
    let kept = kept(session, batch).await?;
    let mut commits = Vec::with_capacity(batch.len());
    let mut conflicts = Vec::new();
    for record in batch {
        let Some(stored) = kept.get(&record.event_key[..]) else {
            // The sender tries again after the error.
            let pruned = "another process pruned the stored event just now";
            return Err(InboxError::because(InboxErrorKind::Store, pruned));
        };
        let commit = if record.conflicts_with(&stored.sha256, &stored.source) {
            conflicts.push((stored.id, record));
            Commit::Conflict
        } else if new.remove(&record.event_key[..]) {
            Commit::New
        } else {
            Commit::Duplicate
        };
        commits.push(commit);
    }
    // In one order everywhere, because two servers with the same conflicts could wait for each other.
    conflicts.sort_by_key(|(id, record)| (*id, record.sha256));
    for (id, record) in conflicts {
        let values = [
            Value::Int(id),
            Value::Bytes(&record.sha256),
            Value::Int(record.received_at),
            Value::Int(record.signed_at),
            Value::Bytes(&record.body),
        ];
        session.run(sql::CONFLICT, &values).await?;
    }
    Ok(commits)
}

/// Inserts the events that are not stored yet, and returns their keys.
async fn insert(session: &mut Session, batch: &[Record]) -> Result<HashSet<Vec<u8>>, InboxError> {
    match session {
        #[cfg(feature = "sqlite")]
        Session::Sqlite(tx) => crate::sqlite::insert(tx, batch).await,
        #[cfg(feature = "postgres")]
        Session::Postgres(tx, schema) => crate::postgres::insert(tx, schema, batch).await,
    }
}

/// Reads what is stored under the keys of a batch.
async fn kept(
    session: &mut Session,
    batch: &[Record],
) -> Result<HashMap<Vec<u8>, Kept>, InboxError> {
    match session {
        #[cfg(feature = "sqlite")]
        Session::Sqlite(tx) => crate::sqlite::kept(tx, batch).await,
        #[cfg(feature = "postgres")]
        Session::Postgres(tx, schema) => crate::postgres::kept(tx, schema, batch).await,
    }
}

/// Claims events that are due, the first ones first. Returns also the latest of their due times.
pub(super) async fn claim(
    session: &mut Session,
    statement: &'static str,
    worker: &Arc<str>,
    places: usize,
    from: i64,
) -> Result<(Vec<Claimed>, i64), InboxError> {
    let values = [
        Value::Text(worker),
        Value::Int(i64::try_from(places).unwrap_or(i64::MAX)),
        Value::Int(SMALL.cast_signed()),
        Value::Int(from),
    ];
    let mut rows: Vec<Lenient<ClaimRow>> = session.rows(statement, &values).await?;
    let due_at = |row: &Lenient<ClaimRow>| row.rest.as_ref().map_or(0, |rest| rest.due_at);
    rows.sort_by_key(|row| (due_at(row), row.id));
    let last_due_at = rows.last().map_or(from, due_at);
    // The first claim of an event finds no results of handlers.
    let repeated = rows.iter().filter(|row| row.number > 1);
    let repeated: Vec<i64> = repeated.map(|row| row.id).collect();
    let mut results: HashMap<i64, Vec<Settled>> = HashMap::new();
    if !repeated.is_empty() {
        let rows: Vec<(i64, String, Option<String>)> =
            session.rows(sql::RESULTS, &[Value::Ids(&repeated)]).await?;
        for (id, handler, error) in rows {
            results
                .entry(id)
                .or_default()
                .push(Settled { handler, error });
        }
    }
    let claimed = rows.into_iter().map(|row| Claimed {
        settled: results.remove(&row.id).unwrap_or_default(),
        claim: Claim {
            id: row.id,
            worker: Arc::clone(worker),
            number: row.number,
        },
        row: row
            .rest
            .map(ClaimedRow::from)
            .map_err(super::dialect::failed),
    });
    Ok((claimed.collect(), last_due_at))
}

/// Writes results of handlers, then ends of attempts.
pub(super) async fn write(
    session: &mut Session,
    settle: &'static str,
    finish: &'static str,
    batch: &[Outcome],
) -> Result<Vec<bool>, InboxError> {
    let rows: Vec<_> = batch.iter().map(OutcomeRow::from).collect();
    let rows = serde_json::to_string(&rows)
        .map_err(|error| InboxError::because(InboxErrorKind::Store, error))?;
    if batch.iter().any(|outcome| outcome.settled.is_some()) {
        session.run(settle, &[Value::Text(&rows)]).await?;
    }
    let mut finished: HashSet<i64> = HashSet::new();
    if batch.iter().any(|outcome| outcome.end.is_some()) {
        let ids: Vec<(i64,)> = session.rows(finish, &[Value::Text(&rows)]).await?;
        finished.extend(ids.into_iter().map(|(id,)| id));
    }
    let handled = batch
        .iter()
        .filter(|outcome| outcome.has_results && outcome.end == Some(End::Handled))
        .map(|outcome| outcome.claim.id)
        .filter(|id| finished.contains(id));
    let handled: Vec<i64> = handled.collect();
    if !handled.is_empty() {
        let handled = [Value::Ids(&handled)];
        session.run(sql::FORGET_RESULTS, &handled).await?;
    }
    let mut written = Vec::with_capacity(batch.len());
    for outcome in batch {
        let is_written = match &outcome.end {
            None => true,
            // Removed, so that an earlier claim in the same batch does not pass for this one.
            Some(_) if finished.remove(&outcome.claim.id) => true,
            Some(end) => {
                let values = [
                    Value::Int(outcome.claim.id),
                    Value::Int(outcome.claim.number),
                    Value::Text(state_after(end)),
                ];
                let found: Option<(i32,)> = session.row(sql::IS_FINISHED, &values).await?;
                found.is_some()
            }
        };
        written.push(is_written);
    }
    Ok(written)
}

/// An outcome as the statements read it.
#[derive(Serialize)]
struct OutcomeRow<'a> {
    id: i64,
    number: i64,
    worker: &'a str,
    handler: Option<&'a str>,
    handler_error: Option<&'a str>,
    state: Option<&'static str>,
    failures: i64,
    delay: i64,
    error: Option<&'a str>,
    is_exhausted: bool,
}

impl<'a> From<&'a Outcome> for OutcomeRow<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let (failures, delay, error) = match &outcome.end {
            None | Some(End::Handled) => (0, 0, None),
            Some(End::Retry { delay, error }) => (1, span(*delay), Some(error.as_str())),
            Some(End::Dead { error }) => (1, 0, Some(error.as_str())),
            Some(End::Exhausted) => (0, 0, Some(EXHAUSTED)),
        };
        let settled = outcome.settled.as_ref();
        Self {
            id: outcome.claim.id,
            number: outcome.claim.number,
            worker: &outcome.claim.worker,
            handler: settled.map(|settled| settled.handler.as_str()),
            handler_error: settled.and_then(|settled| settled.error.as_deref()),
            state: outcome.end.as_ref().map(state_after),
            failures,
            delay,
            error,
            is_exhausted: outcome.end == Some(End::Exhausted),
        }
    }
}

fn state_after(end: &End) -> &'static str {
    match end {
        End::Handled => "handled",
        End::Retry { .. } => "waiting",
        End::Dead { .. } | End::Exhausted => "dead",
    }
}

/// The identity of a claimed event, and the rest of its row if that can be decoded.
struct Lenient<T> {
    id: i64,
    number: i64,
    rest: Result<T, sqlx::Error>,
}

impl<'r, R, T> FromRow<'r, R> for Lenient<T>
where
    R: Row,
    &'static str: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    T: FromRow<'r, R>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            number: row.try_get("claims")?,
            rest: T::from_row(row),
        })
    }
}

#[derive(FromRow)]
struct ClaimRow {
    attempts: i64,
    body_bytes: i64,
    due_at: i64,
    received_at: i64,
    signed_at: i64,
    retry_number: Option<i64>,
    retry_reason: Option<String>,
    body: Option<Vec<u8>>,
    source: String,
    job_kind: Option<String>,
    reference: Option<String>,
    metadata: Option<String>,
    traceparent: Option<String>,
    submitted_traceparent: Option<String>,
}

impl From<ClaimRow> for ClaimedRow {
    fn from(row: ClaimRow) -> Self {
        let stored = row.body.map(|body| Stored {
            received_at: row.received_at,
            signed_at: row.signed_at,
            retry_number: row.retry_number,
            retry_reason: row.retry_reason,
            body,
            source: row.source,
            job_kind: row.job_kind,
            reference: row.reference,
            metadata: row.metadata,
            traceparent: row.traceparent,
            submitted_traceparent: row.submitted_traceparent,
        });
        Self {
            attempts: u32::try_from(row.attempts).unwrap_or(u32::MAX),
            body_bytes: unsigned(row.body_bytes),
            stored,
        }
    }
}

/// Why an event is dead whose last attempt ended with its worker.
const EXHAUSTED: &str = "retries exhausted, and the last attempt did not end";
