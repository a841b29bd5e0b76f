use std::{collections::HashSet, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use apalis_core::{task::Task, worker::context::WorkerContext};
use tokio::time;

use super::{Commit, InboxEntry, InboxError, InboxErrorKind, InboxFilter, InboxStats, Replay};
pub(crate) use super::{
    committer::Grouping,
    recent::Recent,
    record::{Record, Stored},
    submissions::SubmissionStore,
};

/// A database under the inbox: apalis' tables, which say what is to be done, beside ours, which keep the events.
///
/// Every method is one transaction, and may be called from many tasks and processes at a time.
pub(crate) trait Store: SubmissionStore + Send + Sync + 'static {
    /// How it likes its commits.
    fn grouping(&self) -> Grouping;

    /// Commits events, in one transaction: all, or none with an error. The answers are in the same order.
    fn commit<'a>(&'a self, batch: &'a [Record]) -> StoreFuture<'a, Vec<Commit>>;

    /// Writes something, to see whether an event could be committed.
    fn probe(&self) -> StoreFuture<'_, ()>;

    /// Adds a worker under a name that no other ever had, and keeps it alive for the first time.
    fn register<'a>(&'a self, worker: &'a WorkerContext, lease: Duration) -> StoreFuture<'a, ()>;

    /// Says that a worker lives, even if its name was removed, and takes from dead ones, silent for longer than a lease, what they held.
    fn keep_alive<'a>(&'a self, worker: &'a WorkerContext, lease: Duration) -> StoreFuture<'a, ()>;

    /// Takes the next event that is due, for this worker alone.
    fn claim<'a>(&'a self, worker: &'a WorkerContext) -> StoreFuture<'a, Option<Claimed>>;

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

    /// Removes some of the events that were handled before a time, and says how many those were: 0 if there are no more.
    fn prune(&self, before: i64) -> StoreFuture<'_, u64>;
}

/// A store that nobody waits on for ever: a connection that went dark gives neither an answer nor an error.
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

    /// The store itself, to be put under another one.
    #[cfg(feature = "testing")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    pub(crate) fn grouping(&self) -> Grouping {
        self.store.grouping()
    }

    /// How the last work went, for those who do it to note.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Asks for something that no delivery waits for.
    ///
    /// After [`InboxErrorKind::Timeout`] it may have been done all the same.
    pub(crate) async fn ask<'a, T>(
        &'a self,
        work: impl FnOnce(&'a dyn Store) -> StoreFuture<'a, T>,
    ) -> Result<T, InboxError> {
        self.ask_within(ANSWER, work).await
    }

    /// As [`ask`](Self::ask), with another time limit.
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

/// A claimed event, as a task.
pub(crate) type Claimed = Task<Ticket>;

/// What is known of a claimed event before it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    /// The number of the claim.
    pub(crate) number: i64,
    pub(crate) body_bytes: u64,
}

/// A worker's hold on an event.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: String,
    pub(crate) worker: Arc<str>,
    /// The attempts before this one.
    pub(crate) attempts: u32,
    /// Which claim of this event it is. It fences: whoever claims the event after this one, be it the same worker, counts
    /// one up.
    pub(crate) number: i64,
    pub(crate) body_bytes: u64,
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
    /// As dead, but without an attempt: there was none left.
    Exhausted,
}

/// What becomes of an inbox that is to be opened and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Made,
    Refused,
}

/// Well within a lease of the usual length.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// For a large body on a slow network, where nobody waits.
pub(crate) const LONG_ANSWER: Duration = Duration::from_secs(2 * 60);

/// The queue's name in apalis' tables.
pub(crate) const QUEUE: &str = "tower-pyannote";

/// Where it is noted which of our tables' versions a database has; apalis notes its own in sqlx' usual place.
pub(crate) const OUR_MIGRATIONS: &str = "_pyannote_migrations";

/// Why a database is not opened that has other tables, or none.
pub(crate) const NO_INBOX: &str = "there is no inbox in this database: nothing was made";
