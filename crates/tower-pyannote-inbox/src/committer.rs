use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, time};

use crate::{
    database::Database,
    entry::Commit,
    error::{InboxError, InboxErrorKind},
    group::Group,
    held::Wake,
    record::Record,
    telemetry,
};

/// Commits delivered events in shared transactions.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    group: Group,
    room: Arc<Semaphore>,
    /// The size of the room, in KiB.
    size: usize,
}

impl Committer {
    /// Bodies that wait for their transaction, or are in one, have at most `memory` bytes together. If the database hangs, the
    /// deliveries that give up make room for the next ones. A larger body takes all of it.
    pub(crate) fn start(database: &Database, wake: &Wake, memory: usize) -> Self {
        let size = memory >> 10;
        Self {
            group: Group::start(database, wake, database.grouping(), ATTEMPT),
            room: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Commits an event, or returns an error within 5 s.
    ///
    /// After a timeout the transaction may still commit; the next delivery of the event is then a duplicate.
    pub(crate) async fn commit(
        &self,
        record: impl Future<Output = Record>,
    ) -> Result<Commit, InboxError> {
        let begun = Instant::now();
        let handed_in = async { self.hand_in(record.await).await };
        let commit = match time::timeout(PATIENCE, handed_in).await {
            Ok(commit) => commit,
            Err(_) => Err(InboxError::new(InboxErrorKind::Timeout)),
        };
        telemetry::committed(&commit, begun.elapsed());
        commit
    }

    async fn hand_in(&self, record: Record) -> Result<Commit, InboxError> {
        let kibibytes = record.body.len().div_ceil(1 << 10).clamp(1, self.size);
        let share = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(share);
        let room = room.await.ok();
        self.group.commit(record, room).await
    }
}

/// Commits an event that no delivery waits for, in a transaction of its own, so that no delivery waits for it.
#[cfg(feature = "reconcile")]
pub(crate) async fn commit_alone(
    database: &Database,
    wake: &Wake,
    record: Record,
) -> Result<Commit, InboxError> {
    let begun = Instant::now();
    let batch = crate::store::Batch::of_record(record);
    let done = database.transact(crate::store::LONG_ANSWER, &batch).await;
    database.recent().commits.note(&done);
    let commit = done.map(|done| done.commits.first().copied().unwrap_or(Commit::New));
    // Even after an error, because perhaps only the answer was lost.
    wake.notify();
    telemetry::committed(&commit, begun.elapsed());
    commit
}

/// Half of what pyannoteAI waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// A little less, so that a transaction that hangs leaves time for the next one.
const ATTEMPT: Duration = Duration::from_millis(4_500);
