use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{self, Instant};

use crate::{
    error::InboxError,
    held::{Held, Wake},
    store::{Claimed, Database},
    telemetry,
};

/// Finds the events that a worker handles next.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) database: Database,
    pub(crate) wake: Wake,
    pub(crate) held: Held,
    pub(crate) worker: Arc<str>,
    pub(crate) lease: Duration,
    /// The events that the worker can begin with now.
    pub(crate) free: Arc<AtomicUsize>,
}

impl Feed {
    /// Waits until events are due, and claims as many as the worker can begin with.
    ///
    /// A claim may have been committed although the worker does not know of it: its answer was lost, or it took effect after
    /// its timeout. Nobody else takes such an event while this worker lives. So the worker hands back what it does not hold,
    /// after an error, and once a lease. The second value is the time of the last hand-back.
    pub(crate) async fn next(
        self,
        mut is_unsure: bool,
        mut handed_back: Instant,
    ) -> (Vec<Claimed>, Instant) {
        let mut is_idle = false;
        loop {
            if is_unsure || handed_back.elapsed() > self.lease {
                is_unsure = self.hand_back().await.is_err();
                if is_unsure {
                    time::sleep(IDLE).await;
                    continue;
                }
                handed_back = Instant::now();
            }
            let woken = self.wake.woken();
            let places = self.free.load(Ordering::Relaxed);
            let claimed = self
                .database
                .ask(|store| store.claim(&self.worker, places, is_idle))
                .await;
            self.database.recent().claims.note(&claimed);
            match claimed {
                Ok(claimed) if claimed.is_empty() => {
                    is_idle = time::timeout(IDLE, woken).await.is_err();
                }
                Ok(claimed) => return (claimed, handed_back),
                Err(error) => {
                    telemetry::store_failed("claim", &error);
                    time::sleep(IDLE).await;
                    is_unsure = true;
                }
            }
        }
    }

    /// Makes the events due again that this worker has claimed and does not hold.
    pub(crate) async fn hand_back(&self) -> Result<(), InboxError> {
        let held = self.held.ids();
        let released = self
            .database
            .ask(|store| store.release(&self.worker, &held))
            .await;
        if let Err(error) = &released {
            telemetry::store_failed("release", error);
        }
        released.map(drop)
    }
}

/// How soon a worker finds an event that another server committed, or that is due again.
pub(crate) const IDLE: Duration = Duration::from_secs(1);
