use std::{
    slice,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time,
};

use super::{
    Commit, InboxError, InboxErrorKind, record::Record, store::Store, telemetry, worker::Wake,
};

/// Brings events into the store, those that come at the same time in one transaction.
///
/// A commit costs a flush of the disk, whatever it holds: while one is under way the next events gather, and share theirs.
#[derive(Clone, Debug)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Pending>,
    patience: Duration,
}

/// An event that waits for its commit.
#[derive(Debug)]
struct Pending {
    record: Record,
    answer: oneshot::Sender<Result<Commit, InboxError>>,
}

impl Committer {
    /// Starts as many tasks as the store has use for; they end when the last committer is gone.
    pub(crate) fn start(store: &Arc<dyn Store>, wake: &Wake, grouping: Grouping) -> Self {
        let (queue, pending) = mpsc::channel(QUEUE);
        let pending = Arc::new(Mutex::new(pending));
        for _ in 0..grouping.parallel {
            let (store, wake) = (Arc::clone(store), wake.clone());
            tokio::spawn(run(store, wake, Arc::clone(&pending), grouping.largest));
        }
        Self {
            queue,
            patience: PATIENCE,
        }
    }

    /// Commits an event, or says within 5 s that it could not.
    ///
    /// After a timeout it may be committed all the same; it is then a duplicate when it comes again.
    pub(crate) async fn commit(&self, record: Record) -> Result<Commit, InboxError> {
        let begun = Instant::now();
        let commit = match time::timeout(self.patience, self.hand_in(record)).await {
            Ok(commit) => commit,
            Err(_) => Err(InboxError::new(InboxErrorKind::Timeout)),
        };
        telemetry::committed(&commit, begun.elapsed());
        commit
    }

    async fn hand_in(&self, record: Record) -> Result<Commit, InboxError> {
        let closed = || InboxError::new(InboxErrorKind::Closed);
        let (answer, committed) = oneshot::channel();
        let pending = Pending { record, answer };
        self.queue.send(pending).await.map_err(|_| closed())?;
        committed.await.map_err(|_| closed())?
    }
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
    store: Arc<dyn Store>,
    wake: Wake,
    queue: Arc<Mutex<mpsc::Receiver<Pending>>>,
    largest: usize,
) {
    loop {
        let group = next_group(&mut *queue.lock().await, largest).await;
        if group.is_empty() {
            return;
        }
        let alone = group.len() == 1;
        let (records, answers): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|pending| (pending.record, pending.answer))
            .unzip();
        match commit(&*store, &records).await {
            Ok(commits) => {
                wake.notify();
                for (answer, commit) in answers.into_iter().zip(commits) {
                    let _ = answer.send(Ok(commit));
                }
            }
            // One that the database cannot take must not keep its neighbours out.
            Err(error) if !alone && error.kind() == InboxErrorKind::Store => {
                for (record, answer) in records.iter().zip(answers) {
                    // Whoever gave up comes again; if the database is down, that ends this soon.
                    if answer.is_closed() {
                        continue;
                    }
                    let commits = commit(&*store, slice::from_ref(record)).await;
                    wake.notify();
                    let _ = answer.send(commits.map(|commits| first(&commits)));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Waits for an event, and takes those that came with it; none if no more can come.
async fn next_group(queue: &mut mpsc::Receiver<Pending>, largest: usize) -> Vec<Pending> {
    let mut group = Vec::new();
    let mut bytes = 0;
    let mut next = queue.recv().await;
    while let Some(pending) = next {
        bytes += pending.record.body.len();
        group.push(pending);
        if group.len() >= largest || bytes >= GROUP_BYTES {
            break;
        }
        next = queue.try_recv().ok();
    }
    group
}

async fn commit(store: &dyn Store, records: &[Record]) -> Result<Vec<Commit>, InboxError> {
    match time::timeout(ATTEMPT, store.commit(records)).await {
        Ok(commits) => commits,
        Err(_) => Err(InboxError::new(InboxErrorKind::Timeout)),
    }
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
