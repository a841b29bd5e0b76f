//! What the parts of a worker share: the signal that there is work, the events that the worker holds, and a pause.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::store::Batch;

/// Counts the changes in this process after which an event may be due.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(watch::Sender<u64>);

impl Wake {
    /// Wakes the workers, and returns the number of changes.
    pub(crate) fn notify(&self) -> u64 {
        self.0.send_modify(|changes| *changes += 1);
        self.changes()
    }

    /// As [`notify`](Self::notify), if a committed batch may have made events due.
    pub(crate) fn notify_of(&self, batch: &Batch) -> u64 {
        match batch.may_make_due() {
            true => self.notify(),
            false => self.changes(),
        }
    }

    pub(crate) fn changes(&self) -> u64 {
        *self.0.borrow()
    }

    /// Completes once the number of changes is another.
    pub(crate) async fn changed_from(&self, seen: u64) {
        // It fails only without a sender, which is here.
        let _ = self
            .0
            .subscribe()
            .wait_for(|changes| *changes != seen)
            .await;
    }
}

/// A worker that claims events, and its places.
#[derive(Debug)]
pub(crate) struct Claimant {
    pub(crate) worker: Arc<str>,
    free: watch::Sender<usize>,
    is_idle: AtomicBool,
}

impl Claimant {
    pub(crate) fn new(worker: Arc<str>) -> Self {
        Self {
            worker,
            free: watch::Sender::new(0),
            is_idle: AtomicBool::new(false),
        }
    }

    /// Returns the number of events that the worker can begin with now.
    pub(crate) fn free(&self) -> usize {
        *self.free.borrow()
    }

    pub(crate) fn set_free(&self, places: usize) {
        self.free
            .send_if_modified(|free| std::mem::replace(free, places) != places);
    }

    /// Completes once the worker can begin with an event.
    pub(crate) async fn is_free(&self) {
        let _ = self.free.subscribe().wait_for(|free| *free > 0).await;
    }

    /// Whether the next claim also looks for due times from before a clock was set back.
    pub(crate) fn is_idle(&self) -> bool {
        self.is_idle.load(Ordering::Relaxed)
    }

    pub(crate) fn set_idle(&self, is_idle: bool) {
        self.is_idle.store(is_idle, Ordering::Relaxed);
    }
}

/// The events that a worker holds, each with the number of its attempts that still run: an attempt that has lost its event may
/// not know it yet when the same worker claims the event again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(watch::Sender<HashMap<i64, usize>>);

impl Held {
    /// Holds an event until the returned value is dropped.
    pub(crate) fn hold(&self, id: i64) -> Holding {
        self.0.send_modify(|held| {
            *held.entry(id).or_default() += 1;
        });
        Holding {
            held: self.clone(),
            id,
        }
    }

    pub(crate) fn ids(&self) -> HashSet<i64> {
        self.0.borrow().keys().copied().collect()
    }

    pub(crate) async fn emptied(&self) {
        // It fails only without a sender, which is here.
        let _ = self.0.subscribe().wait_for(HashMap::is_empty).await;
    }
}

/// An attempt that runs. It may run for a while after it was cut off.
#[derive(Debug)]
pub(crate) struct Holding {
    held: Held,
    id: i64,
}

impl Drop for Holding {
    fn drop(&mut self) {
        self.held.0.send_modify(|held| {
            let holdings = held.get_mut(&self.id).map_or(0, |holdings| {
                *holdings -= 1;
                *holdings
            });
            if holdings == 0 {
                held.remove(&self.id);
            }
        });
    }
}

/// Before the database is asked again after an error.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
