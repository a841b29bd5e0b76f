use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    task,
};

use crate::{
    database::Database,
    entry::Commit,
    error::InboxError,
    held::{Claimant, Wake},
    lane::{Answer, Answers, Found, Lane, PendingClaim, closed},
    record::Record,
    store::{Batch, Grouping, Outcome},
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

/// Items that may wait; the next one waits to be handed in.
const QUEUE: usize = 256;

/// Bytes in one transaction; the last item may exceed it.
const GROUP_BYTES: usize = 16 << 20;
