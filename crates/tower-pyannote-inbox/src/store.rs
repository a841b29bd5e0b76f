use std::{collections::HashSet, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time;

use crate::{
    details::InboxDetails,
    entry::{Commit, InboxEntry, InboxFilter, InboxStats, Replay},
    error::{InboxError, InboxErrorKind},
    recent::Recent,
    record::{Record, Stored},
    transfer::Import,
};
#[cfg(feature = "reconcile")]
use crate::{
    record::{NewIntent, Submission},
    unanswered::UnansweredSubmission,
};
#[cfg(feature = "reconcile")]
use tower_pyannote::event::Text;

/// The database under an inbox.
///
/// Every method is one transaction. Many tasks and processes may call the methods at the same time.
pub(crate) trait Store: SubmissionStore + Send + Sync + 'static {
    /// Returns how commits are best grouped.
    fn grouping(&self) -> Grouping;

    /// Commits events, writes outcomes and claims events, in this order. Does all or nothing; the answers have the order of the
    /// batch.
    fn transact<'a>(&'a self, batch: &'a Batch) -> StoreFuture<'a, Done>;

    /// Commits an event of another inbox, in the state that it has there.
    fn import<'a>(&'a self, import: &'a Import) -> StoreFuture<'a, Commit>;

    /// Writes a row, to find out whether an event could be committed.
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Renews a worker's lease, and makes the events of workers without a lease due again. Returns their number.
    fn keep_alive<'a>(&'a self, worker: &'a str, lease: Duration) -> StoreFuture<'a, u64>;

    /// Makes the events that a worker claimed due again, except those in `held`, and counts no attempt. Returns their number.
    fn release<'a>(&'a self, worker: &'a str, held: &'a HashSet<i64>) -> StoreFuture<'a, u64>;

    fn stats(&self) -> StoreFuture<'_, InboxStats>;

    fn list<'a>(&'a self, filter: &'a InboxFilter) -> StoreFuture<'a, Vec<InboxEntry>>;

    /// Returns an event with the results of its handlers.
    fn details(&self, id: i64) -> StoreFuture<'_, Option<InboxDetails>>;

    /// Counts the events received since a time, by spans of nanoseconds. Spans without events are left out.
    fn arrivals(&self, since: i64, span: i64) -> StoreFuture<'_, Vec<(i64, i64)>>;

    /// Makes a dead event handled; `false` if no dead event has this id.
    fn mark_handled<'a>(&'a self, id: i64, reason: &'a str) -> StoreFuture<'a, bool>;

    /// Reads an event with its body.
    fn event(&self, id: i64) -> StoreFuture<'_, Option<Stored>>;

    /// Makes an event due again; `false` if there is none of this id, or if a worker has it.
    fn replay(&self, id: i64, replay: Replay) -> StoreFuture<'_, bool>;

    /// Removes some of the events that were handled before a time. Returns their number, 0 if none is left.
    fn prune(&self, before: i64) -> StoreFuture<'_, u64>;
}

/// What a client and a reconciler need of a store.
#[cfg(feature = "reconcile")]
pub(crate) trait SubmissionStore {
    /// Records a submitted job, closes its intent, and makes the job's events due.
    fn record<'a>(
        &'a self,
        submission: &'a Submission,
        intent_id: Option<&'a str>,
    ) -> StoreFuture<'a, ()>;

    /// Records a submission that is about to be sent. Events of unknown jobs that are committed from now on wait for its end.
    fn open_intent<'a>(&'a self, intent: &'a NewIntent) -> StoreFuture<'a, ()>;

    /// Ends the wait for an answer. The submission is forgotten, or unanswered if its job `may_exist`.
    fn close_intent<'a>(&'a self, id: &'a str, may_exist: bool) -> StoreFuture<'a, ()>;

    /// Returns the submissions whose answer was lost, the oldest first.
    fn unanswered(&self) -> StoreFuture<'_, Vec<UnansweredSubmission>>;

    /// Records the job of an unanswered submission; `false` if there is none with this id.
    fn answer<'a>(&'a self, id: &'a str, job_id: &'a Text) -> StoreFuture<'a, bool>;

    /// Returns for each job whether its submission is recorded.
    fn recorded<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>>;

    /// Returns the jobs of the last week whose end is not known, the oldest first.
    fn awaited(&self) -> StoreFuture<'_, Vec<Submission>>;

    /// Returns for each job whether its end is known: its event is or was in the inbox, or was given up.
    fn settled<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>>;

    /// Takes or renews a lease; `false` if another holder has it.
    fn lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        duration: Duration,
    ) -> StoreFuture<'a, bool>;

    /// Gives up the event of a job.
    fn give_up<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()>;
}

#[cfg(not(feature = "reconcile"))]
pub(crate) trait SubmissionStore {}

#[cfg(not(feature = "reconcile"))]
impl<T> SubmissionStore for T {}

/// A store with a time limit on each call, because a dead connection gives neither an answer nor an error.
#[derive(Clone)]
pub(crate) struct Database {
    store: Arc<dyn Store>,
    recent: Arc<Recent>,
}

impl Database {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            recent: Arc::default(),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(crate) fn grouping(&self) -> Grouping {
        self.store.grouping()
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Calls the store for something that no delivery waits for.
    ///
    /// After [`InboxErrorKind::Timeout`] the transaction may still commit.
    pub(crate) async fn ask<'a, T>(
        &'a self,
        work: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> Result<T, InboxError> {
        self.ask_within(ANSWER, work).await
    }

    pub(crate) async fn transact(
        &self,
        limit: Duration,
        batch: &Batch,
    ) -> Result<Done, InboxError> {
        self.ask_within(limit, |store| store.transact(batch)).await
    }

    /// Calls the store with a time limit.
    pub(crate) async fn ask_within<'a, T>(
        &'a self,
        limit: Duration,
        work: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> Result<T, InboxError> {
        match time::timeout(limit, work(&*self.store)).await {
            Ok(answer) => answer,
            Err(_) => Err(InboxError::new(InboxErrorKind::Timeout)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, InboxError>> + Send + 'a>>;

/// How a store groups commits best.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouping {
    /// Transactions at the same time.
    pub(crate) parallel: usize,
    /// Events in one transaction.
    pub(crate) largest: usize,
}

/// The work of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) claims: Vec<Places>,
}

impl Batch {
    pub(crate) fn of_record(record: Record) -> Self {
        Self {
            records: vec![record],
            ..Self::default()
        }
    }

    pub(crate) fn of_outcome(outcome: Outcome) -> Self {
        Self {
            outcomes: vec![outcome],
            ..Self::default()
        }
    }

    /// Whether an event may be due because of this batch.
    pub(crate) fn may_make_due(&self) -> bool {
        let has_ended = self.outcomes.iter().any(|outcome| outcome.end.is_some());
        has_ended || !self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.outcomes.len() + self.claims.len()
    }
}

/// A worker's claim to events that are due.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) worker: Arc<str>,
    /// The most events.
    pub(crate) places: usize,
    /// Whether to look for due times from before a clock was set back, too.
    pub(crate) is_idle: bool,
}

/// The answers to a [`Batch`].
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) commits: Vec<Commit>,
    /// `false` if another claim has the event.
    pub(crate) written: Vec<bool>,
    pub(crate) claimed: Vec<Vec<Claimed>>,
}

/// A worker's hold on an event.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: i64,
    pub(crate) worker: Arc<str>,
    /// Fencing token: each claim, takeover and release increments it, so that late writes by earlier claimants are rejected.
    pub(crate) number: i64,
}

/// A claimed event.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    /// An error if the row cannot be decoded.
    pub(crate) row: Result<ClaimedRow, InboxError>,
    /// The handlers that have finished in earlier attempts.
    pub(crate) settled: Vec<Settled>,
}

#[derive(Debug)]
pub(crate) struct ClaimedRow {
    /// The attempts before this one.
    pub(crate) attempts: u32,
    pub(crate) body_bytes: u64,
    /// `None` if the body is larger than [`SMALL`]: it is read when there is memory for it.
    pub(crate) stored: Option<Stored>,
}

/// What an attempt writes down.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) claim: Claim,
    pub(crate) settled: Option<Settled>,
    pub(crate) end: Option<End>,
    /// Whether results of the event may be stored, which are removed once it is handled.
    pub(crate) has_results: bool,
}

/// A handler that has finished with an event.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) handler: String,
    /// The permanent error of a handler that failed.
    pub(crate) error: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Handled,
    Retry {
        delay: Duration,
        error: String,
    },
    /// Not retried until an operator replays it.
    Dead {
        error: String,
    },
    /// As dead, but no attempt was left to make.
    Exhausted,
}

/// What `open` does if there is no inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Made,
    Refused,
}

/// Well within a lease of the default length.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// For a large body on a slow network.
pub(crate) const LONG_ANSWER: Duration = Duration::from_secs(2 * 60);

/// A claim returns bodies up to this size, and a worker's memory limit does not count the first bytes of a body up to it.
pub(crate) const SMALL: u64 = 64 << 10;
