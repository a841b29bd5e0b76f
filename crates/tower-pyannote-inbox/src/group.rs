use std::{
    fmt,
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, RwLock, mpsc, oneshot},
    task,
};

use crate::{
    entry::Commit,
    error::{InboxError, InboxErrorKind},
    held::{Claimant, Wake},
    record::Record,
    store::{Batch, Claimed, Database, Done, Grouping, Outcome, Places},
};

/// Groups deliveries, results and claims into transactions.
///
/// A commit costs a flush of the disk, whatever it holds. While one is under way the next items gather, and then share
/// one. An item that comes alone does not wait.
#[derive(Clone)]
pub(crate) struct Group {
    queue: mpsc::Sender<Item>,
    lane: Lane,
}

/// What the tasks of a group share.
#[derive(Clone)]
struct Lane {
    database: Database,
    wake: Wake,
    limit: Duration,
    /// Claims join the next transaction, and cause none.
    claims: Arc<Mutex<Vec<PendingClaim>>>,
    /// Held for reading while a transaction runs.
    running: Arc<RwLock<()>>,
}

/// An item that waits for its transaction.
enum Item {
    Delivery(Pending<Record, Commit>),
    Outcome(Pending<Outcome, bool>),
    /// Runs the claims that wait.
    Claims,
}

struct Pending<I, A> {
    item: I,
    answer: Answer<A>,
    /// The item's share of a memory limit, until its transaction ends.
    _room: Option<OwnedSemaphorePermit>,
}

struct PendingClaim {
    claimant: Arc<Claimant>,
    answer: Answer<Found>,
}

type Answer<A> = oneshot::Sender<Result<A, InboxError>>;

/// The answer to a claim.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) events: Vec<Claimed>,
    /// Whether all places were filled, so that more events may be due.
    pub(crate) is_full: bool,
    /// The claim has seen all changes up to this one of [`Wake`].
    pub(crate) seen: u64,
}

impl Group {
    /// Starts the tasks that run the transactions. They end with the last clone of the group.
    ///
    /// After `limit` a transaction counts as failed.
    pub(crate) fn start(
        database: &Database,
        wake: &Wake,
        grouping: Grouping,
        limit: Duration,
    ) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        let lane = Lane {
            database: database.clone(),
            wake: wake.clone(),
            limit,
            claims: Arc::default(),
            running: Arc::default(),
        };
        let items = Arc::new(tokio::sync::Mutex::new(items));
        for _ in 0..grouping.parallel {
            tokio::spawn(serve(lane.clone(), Arc::clone(&items), grouping.largest));
        }
        Self { queue, lane }
    }

    /// Commits an event. An event whose caller gives up before its transaction begins is left out.
    pub(crate) async fn commit(
        &self,
        record: Record,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Commit, InboxError> {
        self.submit(record, room, Item::Delivery).await
    }

    /// Writes what an attempt has to write.
    pub(crate) async fn write(&self, outcome: Outcome) -> Result<bool, InboxError> {
        self.submit(outcome, None, Item::Outcome).await
    }

    async fn submit<I, A>(
        &self,
        item: I,
        room: Option<OwnedSemaphorePermit>,
        kind: impl FnOnce(Pending<I, A>) -> Item,
    ) -> Result<A, InboxError> {
        let (answer, answered) = oneshot::channel();
        let item = kind(Pending {
            item,
            answer,
            _room: room,
        });
        self.queue.send(item).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    /// Claims events in the next transaction that begins while places are free, or that frees some.
    pub(crate) fn claim(
        &self,
        claimant: Arc<Claimant>,
    ) -> oneshot::Receiver<Result<Found, InboxError>> {
        let (answer, answered) = oneshot::channel();
        let claim = PendingClaim { claimant, answer };
        self.lane.waiting().push(claim);
        answered
    }

    /// Begins a transaction for the claims that wait.
    pub(crate) async fn claim_now(&self) {
        // It fails only if the tasks have ended; then no claim is answered.
        let _ = self.queue.send(Item::Claims).await;
    }

    /// Waits until the transactions that run now have ended.
    pub(crate) async fn settled(&self) {
        drop(self.lane.running.write().await);
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

async fn serve(lane: Lane, queue: Arc<tokio::sync::Mutex<mpsc::Receiver<Item>>>, largest: usize) {
    loop {
        let next = next_group(&mut *queue.lock().await, largest).await;
        let Some((batch, answers)) = next else { return };
        // In a task, so that a panic, as a recorder of logs or metrics may cause one, does not end the loop.
        let _ = tokio::spawn(lane.clone().run(batch, answers)).await;
    }
}

/// The answers to a batch, in its order.
#[derive(Default)]
struct Answers {
    commits: Vec<(Answer<Commit>, Option<OwnedSemaphorePermit>)>,
    written: Vec<Answer<bool>>,
    claims: Vec<Answer<Found>>,
}

/// Waits for an item, and takes the items that came with it. `None` means that no more items can come.
async fn next_group(queue: &mut mpsc::Receiver<Item>, largest: usize) -> Option<(Batch, Answers)> {
    let (mut batch, mut answers) = (Batch::default(), Answers::default());
    let mut bytes = 0;
    let mut next = Some(queue.recv().await?);
    while let Some(item) = next {
        match item {
            Item::Delivery(delivery) if !delivery.answer.is_closed() => {
                bytes += delivery.item.body.len();
                batch.records.push(delivery.item);
                answers.commits.push((delivery.answer, delivery._room));
            }
            Item::Outcome(outcome) if !outcome.answer.is_closed() => {
                batch.outcomes.push(outcome.item);
                answers.written.push(outcome.answer);
            }
            _ => {}
        }
        if batch.records.len() + batch.outcomes.len() >= largest || bytes >= GROUP_BYTES {
            break;
        }
        next = match queue.try_recv() {
            Ok(item) => Some(item),
            // Callers that are ready to run now can still join.
            Err(_) => {
                task::yield_now().await;
                queue.try_recv().ok()
            }
        };
    }
    Some((batch, answers))
}

impl Lane {
    async fn run(self, mut batch: Batch, mut answers: Answers) {
        let _running = self.running.read().await;
        self.add_claims(&mut batch, &mut answers);
        if batch.len() == 0 {
            return;
        }
        let before = self.wake.changes();
        match self.transact(&batch).await {
            Ok(done) => {
                let after = self.wake.notify_of(&batch);
                // Of another change during the transaction it is unknown whether the claims have seen it.
                let seen = if after <= before + 1 { after } else { before };
                for ((answer, _room), commit) in answers.commits.into_iter().zip(done.commits) {
                    // A caller that gave up tries again.
                    let _ = answer.send(Ok(commit));
                }
                for (answer, written) in answers.written.into_iter().zip(done.written) {
                    let _ = answer.send(Ok(written));
                }
                let claimed = done.claimed.into_iter().zip(&batch.claims);
                for (answer, (events, claim)) in answers.claims.into_iter().zip(claimed) {
                    let is_full = events.len() >= claim.places;
                    let _ = answer.send(Ok(Found {
                        events,
                        is_full,
                        seen,
                    }));
                }
            }
            Err(error) => self.run_alone(batch, answers, error).await,
        }
    }

    /// Adds the claims that have places now, or will have when the batch is committed.
    fn add_claims(&self, batch: &mut Batch, answers: &mut Answers) {
        let mut waiting = self.waiting();
        for PendingClaim { claimant, answer } in take(&mut *waiting) {
            let is_freed = |outcome: &&Outcome| {
                outcome.end.is_some() && outcome.claim.worker == claimant.worker
            };
            let places = claimant.free() + batch.outcomes.iter().filter(is_freed).count();
            if answer.is_closed() {
                continue;
            }
            if places == 0 {
                waiting.push(PendingClaim { claimant, answer });
                continue;
            }
            batch.claims.push(Places {
                worker: Arc::clone(&claimant.worker),
                places,
                is_idle: claimant.is_idle(),
            });
            answers.claims.push(answer);
        }
    }

    /// Runs each item of a failed batch alone, because an item that the database refuses must not keep its neighbours out.
    async fn run_alone(&self, batch: Batch, answers: Answers, error: InboxError) {
        let is_alone = batch.len() == 1 || error.kind() != InboxErrorKind::Store;
        let first = is_alone.then_some(&error);
        // Not again: if only the answer was lost, the worker hands back what was claimed.
        for answer in answers.claims {
            let _ = answer.send(Err(error.clone()));
        }
        for (record, (answer, _room)) in batch.records.into_iter().zip(answers.commits) {
            let batch = Batch::of_record(record);
            self.retry(first, batch, answer, |done| done.commits).await;
        }
        for (outcome, answer) in batch.outcomes.into_iter().zip(answers.written) {
            let batch = Batch::of_outcome(outcome);
            self.retry(first, batch, answer, |done| done.written).await;
        }
    }

    async fn retry<A>(
        &self,
        error: Option<&InboxError>,
        batch: Batch,
        answer: Answer<A>,
        answers: impl FnOnce(Done) -> Vec<A>,
    ) {
        let done = match error {
            Some(error) => Err(error.clone()),
            // If the database is down, all callers soon give up.
            None if answer.is_closed() => return,
            None => self.transact(&batch).await,
        };
        if done.is_ok() {
            self.wake.notify_of(&batch);
        }
        let done = done.map(answers);
        let _ = answer.send(done.and_then(|done| done.into_iter().next().ok_or_else(closed)));
    }

    async fn transact(&self, batch: &Batch) -> Result<Done, InboxError> {
        let done = self.database.transact(self.limit, batch).await;
        if !batch.records.is_empty() {
            self.database.recent().commits.note(&done);
        }
        done
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<PendingClaim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> InboxError {
    InboxError::new(InboxErrorKind::Closed)
}

/// Items that may wait; the next one waits to be handed in.
const QUEUE: usize = 256;

/// Bytes in one transaction; the last item may exceed it.
const GROUP_BYTES: usize = 16 << 20;
