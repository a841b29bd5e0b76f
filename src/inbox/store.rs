use std::{collections::HashSet, future::Future, pin::Pin, sync::Arc, time::Duration};

use apalis_core::{task::Task, worker::context::WorkerContext};

use super::{
    Commit, InboxEntry, InboxError, InboxFilter, InboxStats, Replay,
    record::{Record, Stored},
    submissions::SubmissionStore,
};

/// A database under the inbox: apalis' tables, which say what is to be done, beside ours, which keep the events.
///
/// Every method is one transaction, and may be called from many tasks and processes at a time.
pub(crate) trait Store: SubmissionStore + Send + Sync + 'static {
    /// Commits events, in one transaction: all, or none with an error. The answers are in the same order.
    fn commit<'a>(&'a self, batch: &'a [Record]) -> StoreFuture<'a, Vec<Commit>>;

    /// Writes something, to see whether an event could be committed.
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Adds a worker under a name that no other ever had.
    fn register<'a>(&'a self, worker: &'a WorkerContext, lease: Duration) -> StoreFuture<'a, ()>;

    /// Says that a worker lives, and takes from dead ones, silent for longer than a lease, what they held.
    fn keep_alive<'a>(&'a self, worker: &'a WorkerContext, lease: Duration) -> StoreFuture<'a, ()>;

    /// Takes the next event that is due, for this worker alone.
    fn claim<'a>(&'a self, worker: &'a WorkerContext) -> StoreFuture<'a, Option<Task<Vec<u8>>>>;

    /// Begins to handle what was claimed.
    fn start<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, Start>;

    /// Notes that a handler is through with an event, for good.
    fn settle<'a>(&'a self, claim: &'a Claim, settled: Settled) -> StoreFuture<'a, ()>;

    /// Ends an attempt; `false` if the event is no longer this worker's.
    fn finish<'a>(&'a self, claim: &'a Claim, end: End) -> StoreFuture<'a, bool>;

    /// Hands back what is marked as a worker's, but for what it knows to hold, without counting that as an attempt.
    fn release<'a>(&'a self, worker: &'a str, held: &'a HashSet<String>) -> StoreFuture<'a, u64>;

    fn stats(&self) -> StoreFuture<'_, InboxStats>;

    fn list<'a>(&'a self, filter: &'a InboxFilter) -> StoreFuture<'a, Vec<InboxEntry>>;

    /// The body of an event.
    fn body<'a>(&'a self, id: &'a str) -> StoreFuture<'a, Option<Stored>>;

    /// Makes an event due again; `false` if there is none of this id that is at rest.
    fn replay<'a>(&'a self, id: &'a str, replay: Replay) -> StoreFuture<'a, bool>;

    /// Removes at most `limit` events that were handled before a time, and says how many those were.
    fn prune(&self, before: i64, limit: u32) -> StoreFuture<'_, u64>;
}

pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, InboxError>> + Send + 'a>>;

/// A worker's hold on an event.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) worker: Arc<str>,
    /// The attempts before this one. It fences: whoever takes the event from this worker counts one up.
    pub(crate) attempts: u32,
}

/// What a claim turned out to be.
#[derive(Debug)]
pub(crate) enum Start {
    /// Handle it.
    Begun {
        stored: Stored,
        settled: Vec<Settled>,
    },
    /// Another event of its job is being handled; this one was put off.
    Busy,
    /// It is another worker's by now, or no longer there.
    Lost,
}

/// A handler that is through with an event.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) handler: String,
    /// Why it failed, if no further attempt can mend that.
    pub(crate) error: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Handled,
    /// To be tried again, not before this time in Unix seconds.
    Retry {
        at: i64,
        error: String,
    },
    /// Not to be tried again, unless someone asks for it.
    Dead {
        error: String,
    },
}

/// The queue's name in apalis' tables.
pub(crate) const QUEUE: &str = "tower-pyannote";

/// Where it is noted which of our tables' versions a database has; apalis notes its own in sqlx' usual place.
pub(crate) const OUR_MIGRATIONS: &str = "_pyannote_migrations";
