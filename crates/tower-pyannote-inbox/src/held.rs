//! What the parts of a worker share: the signal that there is work, the events that the worker holds, and a pause.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::sync::{Notify, futures::Notified, watch};

/// Wakes the workers of this process when an event may be due.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake(Arc<Notify>);

impl Wake {
    pub(crate) fn notify(&self) {
        self.0.notify_waiters();
    }

    /// Completes at the next notification after this call.
    pub(crate) fn woken(&self) -> Notified<'_> {
        self.0.notified()
    }
}

/// The events that a worker holds, each with the number of its attempts that still run: an attempt that has lost its event may
/// not know it yet when the same worker claims the event again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held(watch::Sender<HashMap<i64, usize>>);

impl Held {
    /// Holds an event until the last clone of the returned value is dropped.
    pub(crate) fn hold(&self, id: i64) -> Arc<Holding> {
        self.0.send_modify(|held| {
            *held.entry(id).or_default() += 1;
        });
        Arc::new(Holding {
            held: self.clone(),
            id,
        })
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
