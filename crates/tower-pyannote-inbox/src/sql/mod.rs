//! The store over sqlx: one implementation for both databases, over a [`Session`](session::Session) of either.

pub(crate) mod dialect;
mod front;
mod listing;
mod prune;
mod read;
mod schema;
pub(crate) mod schema_error;
pub(crate) mod session;
mod statements;
#[cfg(feature = "reconcile")]
mod submissions;
#[cfg(all(test, feature = "sqlite", feature = "postgres"))]
mod tests;
mod transfer;
mod work;

use std::{
    collections::HashSet,
    sync::atomic::AtomicI64,
    time::{Duration, SystemTime},
};

pub(crate) use self::schema::prepare;
use self::{
    front::Front,
    session::{Engine, Value},
    statements as sql,
};
use crate::error::InboxError;
use crate::{
    entry::{InboxState, InboxStats, Replay},
    record::{Stored, time},
    store::{Batch, Done, Grouping, Places},
    telemetry,
};

/// An inbox in a database.
#[derive(Debug)]
pub(crate) struct SqlStore {
    engine: Engine,
    /// Expired submissions up to this time are skipped, because their events are still stored.
    forgotten_to: AtomicI64,
    front: Front,
}

impl SqlStore {
    pub(crate) fn new(engine: Engine) -> Self {
        Self {
            engine,
            forgotten_to: AtomicI64::new(i64::MIN),
            front: Front::new(),
        }
    }

    async fn transact_with(&self, batch: &Batch, claims: &[Places]) -> Result<Done, InboxError> {
        let mut session = match claims.is_empty() {
            true => self.engine.write().await?,
            false => self.engine.write_with(sql::BEGIN_CLAIM_POSTGRES).await?,
        };
        let mut done = Done::default();
        if !batch.records.is_empty() {
            done.commits = work::commit(&mut session, &batch.records).await?;
        }
        if !batch.outcomes.is_empty() {
            let settle = self.engine.choose(sql::SETTLE_SQLITE, sql::SETTLE_POSTGRES);
            let finish = self.engine.choose(sql::FINISH_SQLITE, sql::FINISH_POSTGRES);
            done.written = work::write(&mut session, settle, finish, &batch.outcomes).await?;
        }
        if claims.iter().any(|claim| claim.is_idle) {
            session.run(sql::REBASE_EVENTS, &[]).await?;
        }
        let statement = self.engine.choose(sql::CLAIM_SQLITE, sql::CLAIM_POSTGRES);
        let mut claimed_to = Vec::new();
        for Places { worker, places, .. } in claims {
            let from = self.front.begin();
            let (claimed, last_due_at) =
                work::claim(&mut session, statement, worker, *places, from).await?;
            claimed_to.push((claimed.len(), *places, last_due_at));
            done.claimed.push(claimed);
        }
        session.commit().await?;
        for (claimed, places, last_due_at) in claimed_to {
            self.front.note(claimed, places, last_due_at);
        }
        Ok(done)
    }

    pub(crate) fn grouping(&self) -> Grouping {
        self.engine.grouping()
    }

    /// Commits events, writes outcomes and claims events, in this order and in one transaction. The answers have the order of the
    /// batch.
    pub(crate) async fn transact(&self, batch: &Batch) -> Result<Done, InboxError> {
        let done = self.transact_with(batch, &batch.claims).await;
        match done {
            // Another worker has just claimed an event of the same job. Commit without claims; the next claim sees that event.
            Err(error) if is_unique_violation(&error) && !batch.claims.is_empty() => {
                let mut done = self.transact_with(batch, &[]).await?;
                done.claimed.resize_with(batch.claims.len(), Vec::new);
                Ok(done)
            }
            done => done,
        }
    }

    /// Writes a row, to find out whether an event could be committed.
    pub(crate) async fn probe(&self) -> Result<(), InboxError> {
        let mut session = self.engine.write().await?;
        session.run(sql::PROBE, &[]).await?;
        session.commit().await
    }

    /// Renews a worker's lease, and makes the events of workers without a lease due again. Returns their number.
    pub(crate) async fn keep_alive(
        &self,
        worker: &str,
        lease: Duration,
    ) -> Result<u64, InboxError> {
        let mut session = self.engine.write().await?;
        let name = Value::Text(worker);
        session
            .run(sql::RENEW, &[name, Value::Int(span(lease))])
            .await?;
        session.run(sql::REBASE_LEASES, &[]).await?;
        let taken = session.run(sql::TAKE_OVER, &[name]).await?;
        let compact = self.engine.choose("", sql::COMPACT_COUNTS_POSTGRES);
        session.script(compact).await?;
        session.commit().await?;
        Ok(taken)
    }

    /// Makes the events that a worker claimed due again, except those in `held`, and counts no attempt. Returns their number.
    pub(crate) async fn release(
        &self,
        worker: &str,
        held: &HashSet<i64>,
    ) -> Result<u64, InboxError> {
        let held: Vec<i64> = held.iter().copied().collect();
        let values = [Value::Text(worker), Value::Ids(&held)];
        let mut session = self.engine.write().await?;
        let released = session.run(sql::RELEASE, &values).await?;
        session.commit().await?;
        Ok(released)
    }

    pub(crate) async fn stats(&self) -> Result<InboxStats, InboxError> {
        let mut session = self.engine.read().await?;
        let counts: Vec<(String, i64)> = session.rows(sql::COUNTS, &[]).await?;
        let oldest: Option<(Option<i64>,)> = session.row(sql::OLDEST, &[]).await?;
        session.commit().await?;
        let mut stats = InboxStats::default();
        for (state, events) in counts {
            let count = match InboxState::from_name(&state) {
                InboxState::Waiting => &mut stats.waiting,
                InboxState::Running => &mut stats.running,
                InboxState::Handled => &mut stats.handled,
                InboxState::Dead => &mut stats.dead,
                InboxState::Unknown => &mut stats.unknown,
            };
            *count = count.saturating_add_signed(events);
        }
        let age = |oldest| SystemTime::now().duration_since(time(oldest)).ok();
        let oldest = oldest.and_then(|(oldest,)| oldest);
        stats.oldest_waiting = oldest.map(|oldest| age(oldest).unwrap_or_default());
        Ok(stats)
    }

    /// Counts the events received since a time, in intervals of `span` nanoseconds. Leaves out intervals without events.
    pub(crate) async fn arrivals(
        &self,
        since: i64,
        span: i64,
    ) -> Result<Vec<(i64, i64)>, InboxError> {
        let values = [Value::Int(since), Value::Int(span)];
        let mut session = self.engine.read().await?;
        let counts = session.rows(listing::ARRIVALS, &values).await?;
        session.commit().await?;
        Ok(counts)
    }

    /// Marks a dead event as handled. Returns `false` if no dead event has this id.
    pub(crate) async fn mark_handled(&self, id: i64, reason: &str) -> Result<bool, InboxError> {
        let mut session = self.engine.write().await?;
        let values = [Value::Int(id), Value::Text(reason)];
        if session.run(listing::MARK_HANDLED, &values).await? == 0 {
            return Ok(false);
        }
        session
            .run(sql::FORGET_RESULTS, &[Value::Ids(&[id])])
            .await?;
        session.commit().await?;
        Ok(true)
    }

    /// Returns the `traceparent` of a job's submission.
    pub(crate) async fn submitted_trace(
        &self,
        job_key: &[u8; 32],
    ) -> Result<Option<String>, InboxError> {
        let mut session = self.engine.read().await?;
        let row: Option<(Option<String>,)> = session
            .row(sql::SUBMITTED_TRACE, &[Value::Bytes(job_key)])
            .await?;
        session.commit().await?;
        Ok(row.and_then(|(traceparent,)| traceparent))
    }

    /// Reads an event with its body.
    pub(crate) async fn event(&self, id: i64) -> Result<Option<Stored>, InboxError> {
        let statement = self.engine.choose(sql::EVENT_SQLITE, sql::EVENT_POSTGRES);
        let mut session = self.engine.read().await?;
        let stored = session.row(statement, &[Value::Int(id)]).await?;
        session.commit().await?;
        Ok(stored)
    }

    /// Makes an event due again. Returns `false` if no event has this id, or if a worker has claimed the event.
    pub(crate) async fn replay(&self, id: i64, replay: Replay) -> Result<bool, InboxError> {
        let mut session = self.engine.write().await?;
        if session.run(sql::REPLAY, &[Value::Int(id)]).await? == 0 {
            return Ok(false);
        }
        let values = [Value::Int(id), Value::Bool(replay == Replay::All)];
        session.run(sql::REPLAY_RESULTS, &values).await?;
        session.commit().await?;
        Ok(true)
    }

    /// Deletes a batch of the events that were handled before a time. Returns their number, 0 if none is left.
    pub(crate) async fn prune(&self, before: i64) -> Result<u64, InboxError> {
        let mut session = self.engine.write().await?;
        let (pruned, lost) = self.prune_in(&mut session, before).await?;
        session.commit().await?;
        for job_id in lost {
            telemetry::never_came(&job_id);
        }
        Ok(pruned)
    }
}

fn is_unique_violation(error: &InboxError) -> bool {
    let source = std::error::Error::source(error);
    let error = source.and_then(|source| source.downcast_ref::<sqlx::Error>());
    error
        .and_then(sqlx::Error::as_database_error)
        .is_some_and(|error| error.is_unique_violation())
}

/// A count or a size, which the databases keep as a signed number.
fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// A duration in nanoseconds.
fn span(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// How long a submission outlives its event: far longer than the API keeps the output, or lists the job to a reconciler.
const SUBMISSIONS_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
