use std::{fmt, future::Future, sync::Arc};

use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, mpsc, oneshot},
    task,
};

use crate::{
    error::{InboxError, InboxErrorKind},
    store::Grouping,
};

/// Work whose items share transactions.
pub(crate) trait Batch: Clone + Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Answer: Send + 'static;

    /// Returns the bytes that an item adds to a transaction.
    fn bytes(item: &Self::Item) -> usize;

    /// Does all items in one transaction, or none. The answers have the order of the items.
    fn run(
        &self,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Answer>, InboxError>> + Send;
}

/// Groups items into transactions.
///
/// A commit costs a flush of the disk, whatever it holds. While one is under way the next items gather, and then share
/// one. An item that comes alone does not wait.
pub(crate) struct Group<B: Batch> {
    queue: mpsc::Sender<Pending<B>>,
}

/// An item that waits for its transaction.
struct Pending<B: Batch> {
    item: B::Item,
    answer: oneshot::Sender<Result<B::Answer, InboxError>>,
    /// The item's share of a memory limit, until its transaction ends.
    _room: Option<OwnedSemaphorePermit>,
}

impl<B: Batch> Group<B> {
    /// Starts the tasks that run the transactions. They end with the last clone of the group.
    pub(crate) fn start(batch: &B, grouping: Grouping) -> Self {
        let (queue, pending) = mpsc::channel(QUEUE);
        let pending = Arc::new(Mutex::new(pending));
        for _ in 0..grouping.parallel {
            tokio::spawn(serve(batch.clone(), Arc::clone(&pending), grouping.largest));
        }
        Self { queue }
    }

    /// Waits until an item's transaction has ended. An item whose caller gives up before its transaction begins is left out.
    pub(crate) async fn submit(
        &self,
        item: B::Item,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<B::Answer, InboxError> {
        let closed = || InboxError::new(InboxErrorKind::Closed);
        let (answer, answered) = oneshot::channel();
        let pending = Pending {
            item,
            answer,
            _room: room,
        };
        self.queue.send(pending).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

impl<B: Batch> Clone for Group<B> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

impl<B: Batch> fmt::Debug for Group<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").finish_non_exhaustive()
    }
}

async fn serve<B: Batch>(batch: B, queue: Arc<Mutex<mpsc::Receiver<Pending<B>>>>, largest: usize) {
    loop {
        let group = next_group(&mut *queue.lock().await, largest).await;
        if group.is_empty() {
            return;
        }
        // In a task, so that a panic, as a recorder of logs or metrics may cause one, does not end the loop.
        let _ = tokio::spawn(run(batch.clone(), group)).await;
    }
}

/// Waits for an item, and takes the items that came with it. An empty group means that no more items can come.
async fn next_group<B: Batch>(
    queue: &mut mpsc::Receiver<Pending<B>>,
    largest: usize,
) -> Vec<Pending<B>> {
    let mut group: Vec<Pending<B>> = Vec::new();
    let mut bytes = 0;
    while group.len() < largest && bytes < GROUP_BYTES {
        let next = match group.is_empty() {
            true => queue.recv().await,
            false => match queue.try_recv() {
                Ok(next) => Some(next),
                // Callers that are ready to run now can still join.
                Err(_) => {
                    task::yield_now().await;
                    queue.try_recv().ok()
                }
            },
        };
        let Some(pending) = next else { break };
        if !pending.answer.is_closed() {
            bytes += B::bytes(&pending.item);
            group.push(pending);
        }
    }
    group
}

async fn run<B: Batch>(batch: B, group: Vec<Pending<B>>) {
    let mut items = Vec::with_capacity(group.len());
    let mut answers = Vec::with_capacity(group.len());
    for pending in group {
        items.push(pending.item);
        answers.push((pending.answer, pending._room));
    }
    match batch.run(&items).await {
        Ok(done) => {
            for ((answer, _), done) in answers.into_iter().zip(done) {
                // A caller that gave up tries again.
                let _ = answer.send(Ok(done));
            }
        }
        // An item that the database refuses must not keep its neighbours out.
        Err(error) if items.len() > 1 && error.kind() == InboxErrorKind::Store => {
            for (item, (answer, _)) in items.iter().zip(answers) {
                // If the database is down, all callers soon give up.
                if answer.is_closed() {
                    continue;
                }
                let done = batch.run(std::slice::from_ref(item)).await;
                let closed = || InboxError::new(InboxErrorKind::Closed);
                let _ =
                    answer.send(done.and_then(|done| done.into_iter().next().ok_or_else(closed)));
            }
        }
        Err(error) => {
            for (answer, _) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

/// Items that may wait; the next one waits to be handed in.
const QUEUE: usize = 256;

/// Bytes in one transaction; the last item may exceed it.
const GROUP_BYTES: usize = 16 << 20;
