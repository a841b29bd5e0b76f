//! Limits the number of connections, and drops the slowest one when there are too many.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{self, Instant},
};

use crate::progress::{Progress, Rank};

/// The open connections.
///
/// Anyone can open connections and leave them idle, or send a body slowly. When all slots are taken, a new connection
/// therefore replaces the connection whose body arrives at the lowest rate. Connections without a complete head have
/// the rate 0, and so do connections that wait for a page. At the same rate, connections that wait for a page are
/// dropped last, and the oldest first.
///
/// A connection whose delivery waits for its commit is never dropped. Other connections are dropped from an age of 100
/// ms. If such connections hold less than half of the slots, a burst of new connections could push out bodies that
/// arrive fast. Then only connections with the rate 0 are dropped, from an age of 20 ms. The age counts from the last
/// change of the connection's state, such as the end of its head.
pub(crate) struct Connections {
    max: usize,
    slots: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Open>>,
}

struct Open {
    progress: Arc<Progress>,
    task: AbortHandle,
    slot: OwnedSemaphorePermit,
}

impl Connections {
    /// Makes room for `wanted` connections, or fewer if the limit of open files is low. `beside` are the connections of
    /// another listener.
    pub(crate) fn new(wanted: usize, beside: usize) -> Self {
        let max = max_connections(wanted, beside, descriptors());
        Self {
            max,
            slots: Arc::new(Semaphore::new(max)),
            open: Mutex::default(),
        }
    }

    /// Waits for a slot for one more connection.
    pub(crate) async fn slot(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return slot;
            }
            // Drop without waiting, so that fast senders do not queue behind slow ones.
            if let Some(slot) = self.drop_slowest() {
                return slot;
            }
            // No connection can be dropped now: all are new or wait for their commits.
            let slot = Arc::clone(&self.slots).acquire_owned();
            if let Ok(Ok(slot)) = time::timeout(PAUSE, slot).await {
                return slot;
            }
        }
    }

    /// Serves a connection in a task. Dropping the connection aborts the task.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        slot: OwnedSemaphorePermit,
        serve: impl FnOnce(Arc<Progress>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        static NUMBER: AtomicU64 = AtomicU64::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let progress = Arc::new(Progress::new());
        let served = serve(Arc::clone(&progress));
        let leave = Leave {
            connections: Arc::clone(self),
            number,
        };
        // Hold the lock until the connection is in the list, so that the task cannot remove the connection earlier.
        let mut open = self.list();
        let task = tokio::spawn(async move {
            served.await;
            drop(leave);
        });
        let task = task.abort_handle();
        let connection = Open {
            progress,
            task,
            slot,
        };
        open.insert(number, connection);
    }

    #[cfg(feature = "page")]
    pub(crate) const fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn count(&self) -> usize {
        self.max - self.slots.available_permits()
    }

    /// Waits until no connection is open.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(self.max).expect("a few hundred connections");
        let _ = self.slots.acquire_many(all).await;
    }

    /// Drops the connection of the lowest rank and returns its slot.
    fn drop_slowest(&self) -> Option<OwnedSemaphorePermit> {
        let now = Instant::now();
        let mut open = self.list();
        let ranks: Vec<(Rank, u64)> = open
            .iter()
            .filter_map(|(number, open)| Some((open.progress.rank(now)?, *number)))
            .collect();
        let settled = ranks
            .iter()
            .filter(|(rank, _)| now - rank.since >= SETTLED_AGE)
            .count();
        let calm = settled >= self.max / 2;
        let (_, slowest) = ranks
            .into_iter()
            .filter(|(rank, _)| match calm {
                true => now - rank.since >= SETTLED_AGE,
                false => now - rank.since >= MIN_AGE && rank.bytes_a_second == 0,
            })
            .min()?;
        let slowest = open.remove(&slowest)?;
        drop(open);
        tracing::debug!("too many connections: dropped the slowest one");
        slowest.task.abort();
        Some(slowest.slot)
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a connection from the list when its task ends or is aborted.
struct Leave {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.connections.list().remove(&self.number);
    }
}

/// Returns the maximum number of connections, which leaves descriptors for the rest of the process.
fn max_connections(wanted: usize, beside: usize, descriptors: Option<u64>) -> usize {
    let left = descriptors.map_or(usize::MAX, |limit| {
        let left = usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS));
        left.unwrap_or(usize::MAX).saturating_sub(beside)
    });
    let max = left.max(MIN_CONNECTIONS).min(wanted);
    if max < wanted {
        tracing::warn!(
            limit = descriptors,
            max,
            "the limit of open files is low, so fewer than {wanted} connections are served: raise it (ulimit -n)"
        );
    }
    max
}

/// Returns the process's limit of open files, or `None` if there is no limit.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};

    getrlimit(Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// Enough for a few deliveries at a time.
const MIN_CONNECTIONS: usize = 16;

/// The open files left for the database, the archive, the reconciler's requests, and connections that were just
/// dropped.
const OTHER_DESCRIPTORS: u64 = 64;

const PAUSE: Duration = Duration::from_millis(10);

/// The time for the head of a distant sender to arrive, and for its body to begin.
const SETTLED_AGE: Duration = Duration::from_millis(100);

/// The time for a head to arrive that the sender sends right after the handshake.
const MIN_AGE: Duration = Duration::from_millis(20);
