use std::{
    future::Future,
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time,
};

#[cfg(feature = "reconcile")]
use super::store::LONG_ANSWER;
use super::{
    Commit, InboxError, InboxErrorKind, record::Record, store::Database, telemetry, worker::Wake,
};

/// Brings events into the store, those that come at the same time in one transaction.
///
/// A commit costs a flush of the disk, whatever it holds: while one is under way the next events gather, and share theirs.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Pending>,
    room: Arc<Semaphore>,
}

/// An event that waits for its commit.
#[derive(Debug)]
struct Pending {
    record: Record,
    answer: Answer,
}

/// Where the outcome of a commit is waited for.
#[derive(Debug)]
struct Answer {
    to: oneshot::Sender<Result<Commit, InboxError>>,
    /// The body's share of the room, until it is committed, or no longer to be.
    _room: OwnedSemaphorePermit,
}

impl Answer {
    fn is_awaited(&self) -> bool {
        !self.to.is_closed()
    }

    fn send(self, outcome: Result<Commit, InboxError>) {
        // Whoever gave up comes again.
        let _ = self.to.send(outcome);
    }
}

impl Committer {
    /// Starts as many tasks as the store has use for; they end when the last committer is gone.
    pub(crate) fn start(database: &Database, wake: &Wake) -> Self {
        let grouping = database.grouping();
        let (queue, pending) = mpsc::channel(QUEUE);
        let pending = Arc::new(Mutex::new(pending));
        for _ in 0..grouping.parallel {
            let (database, wake) = (database.clone(), wake.clone());
            tokio::spawn(run(database, wake, Arc::clone(&pending), grouping.largest));
        }
        Self {
            queue,
            room: Arc::new(Semaphore::new(ROOM)),
        }
    }

    /// Commits an event, or says within 5 s that it could not.
    ///
    /// After a timeout it may be committed all the same; it is then a duplicate when it comes again.
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
        let closed = || InboxError::new(InboxErrorKind::Closed);
        let kibibytes = record.body.len().div_ceil(1 << 10).clamp(1, ROOM);
        let share = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(share);
        let room = room.await.map_err(|_| closed())?;
        let (to, committed) = oneshot::channel();
        let answer = Answer { to, _room: room };
        let pending = Pending { record, answer };
        self.queue.send(pending).await.map_err(|_| closed())?;
        committed.await.map_err(|_| closed())?
    }
}

/// Commits an event that no delivery waits for, in a transaction of its own, lest deliveries wait for it.
#[cfg(feature = "reconcile")]
pub(crate) async fn commit_alone(
    database: &Database,
    wake: &Wake,
    record: Record,
) -> Result<Commit, InboxError> {
    let begun = Instant::now();
    let commit = commit(database, slice::from_ref(&record), LONG_ANSWER).await;
    let commit = commit.map(|commits| first(&commits));
    // The answer alone may be lost.
    wake.notify();
    telemetry::committed(&commit, begun.elapsed());
    commit
}

/// How a store likes its commits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouping {
    /// Commits that are under way at the same time.
    pub(crate) parallel: usize,
    /// Events in one commit.
    pub(crate) largest: usize,
}

async fn run(
    database: Database,
    wake: Wake,
    queue: Arc<Mutex<mpsc::Receiver<Pending>>>,
    largest: usize,
) {
    loop {
        let group = next_group(&mut *queue.lock().await, largest).await;
        if group.is_empty() {
            return;
        }
        // Should it panic, as a recorder of logs or metrics may, the next group is committed all the same.
        let _ = tokio::spawn(commit_group(database.clone(), wake.clone(), group)).await;
    }
}

async fn commit_group(database: Database, wake: Wake, group: Vec<Pending>) {
    let alone = group.len() == 1;
    let (records, answers): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|pending| (pending.record, pending.answer))
        .unzip();
    match commit(&database, &records, ATTEMPT).await {
        Ok(commits) => {
            wake.notify();
            for (answer, commit) in answers.into_iter().zip(commits) {
                answer.send(Ok(commit));
            }
        }
        // One that the database cannot take must not keep its neighbours out.
        Err(error) if !alone && error.kind() == InboxErrorKind::Store => {
            for (record, answer) in records.iter().zip(answers) {
                // If the database is down, that ends this soon.
                if !answer.is_awaited() {
                    continue;
                }
                let commits = commit(&database, slice::from_ref(record), ATTEMPT).await;
                wake.notify();
                answer.send(commits.map(|commits| first(&commits)));
            }
        }
        Err(error) => {
            for answer in answers {
                answer.send(Err(error.clone()));
            }
        }
    }
}

/// Waits for an event, and takes those that came with it; none if no more can come.
async fn next_group(queue: &mut mpsc::Receiver<Pending>, largest: usize) -> Vec<Pending> {
    let mut group = Vec::new();
    let mut bytes = 0;
    while group.len() < largest && bytes < GROUP_BYTES {
        let next = match group.is_empty() {
            true => queue.recv().await,
            false => queue.try_recv().ok(),
        };
        let Some(pending) = next else { break };
        // Nobody would hear of that commit; who gave up comes again.
        if pending.answer.is_awaited() {
            bytes += pending.record.body.len();
            group.push(pending);
        }
    }
    group
}

async fn commit(
    database: &Database,
    records: &[Record],
    limit: Duration,
) -> Result<Vec<Commit>, InboxError> {
    let commits = database.ask_within(limit, |store| store.commit(records));
    let commits = commits.await;
    database.recent().commits.note(&commits);
    commits
}

fn first(commits: &[Commit]) -> Commit {
    commits.first().copied().unwrap_or(Commit::New)
}

/// Half of what pyannoteAI waits.
const PATIENCE: Duration = Duration::from_secs(5);

/// A little less, so that one attempt that hangs does not take the next one's time.
const ATTEMPT: Duration = Duration::from_millis(4_500);

/// Events that may wait for a commit; the next one waits to be handed in.
const QUEUE: usize = 256;

/// Bodies in one commit, but for the last one of them.
const GROUP_BYTES: usize = 16 << 20;

/// KiB of bodies that may wait for their commit, or be in one: where the database hangs, the deliveries that are given up
/// make room for those that come again. A larger body takes all of it.
const ROOM: usize = 64 << 10;
