use std::{sync::Arc, time::Duration};

use tokio::{
    pin, select,
    time::{self, Instant},
};

use crate::{
    database::Database,
    error::{InboxError, InboxErrorKind},
    group::Group,
    held::{Claimant, Held, Wake},
    lane::Found,
    store::{ANSWER, Claimed},
    telemetry,
};

/// Finds the events that a worker handles next.
#[derive(Clone, Debug)]
pub(crate) struct Feed {
    pub(crate) database: Database,
    pub(crate) wake: Wake,
    pub(crate) group: Group,
    pub(crate) held: Held,
    pub(crate) claimant: Arc<Claimant>,
    pub(crate) lease: Duration,
    /// Whether the database may have claimed an event for the worker without the worker's knowledge.
    pub(crate) is_unsure: bool,
    pub(crate) handed_back: Instant,
    /// Whether the last claim may have left due events.
    pub(crate) is_due: bool,
    /// The number of changes that the last claim has seen.
    pub(crate) seen: u64,
}

impl Feed {
    /// Waits until events are due, and claims as many as the worker can begin with.
    ///
    /// A claim may have been committed although the worker does not know of it: its answer was lost, or it took effect after
    /// its timeout. Nobody else takes such an event while this worker lives. So the worker hands back what it does not hold,
    /// after an error, and once a lease.
    pub(crate) async fn next(mut self) -> (Self, Vec<Claimed>) {
        loop {
            if self.is_unsure || self.handed_back.elapsed() > self.lease {
                self.is_unsure = self.hand_back().await.is_err();
                if self.is_unsure {
                    time::sleep(IDLE).await;
                    continue;
                }
                self.handed_back = Instant::now();
                self.is_due = true;
            }
            let found = self.claim().await;
            if !matches!(&found, Ok(found) if found.is_unsure) {
                self.database.recent().claims.note(&found);
            }
            match found {
                Ok(found) => {
                    self.is_unsure = found.is_unsure;
                    (self.is_due, self.seen) = (found.is_full, found.seen);
                    if !found.events.is_empty() {
                        return (self, found.events);
                    }
                }
                Err(error) => {
                    telemetry::store_failed("claim", &error);
                    time::sleep(IDLE).await;
                    self.is_unsure = true;
                }
            }
        }
    }

    /// Claims with the next transaction of the group. Begins one if events may be due that no transaction has made due.
    async fn claim(&self) -> Result<Found, InboxError> {
        self.claimant.set_idle(false);
        let mut found = self.group.claim(Arc::clone(&self.claimant));
        let begin = async {
            if !self.is_due {
                let changed = self.wake.changed_from(self.seen);
                let is_idle = time::timeout(IDLE, changed).await.is_err();
                self.claimant.set_idle(is_idle);
            }
            self.claimant.is_free().await;
            self.group.claim_now().await;
        };
        pin!(begin);
        let found = select! {
            found = &mut found => found,
            () = begin => found.await,
        };
        found.unwrap_or_else(|_| Err(InboxError::new(InboxErrorKind::Closed)))
    }

    /// Makes the events due again that this worker has claimed and does not hold.
    pub(crate) async fn hand_back(&self) -> Result<(), InboxError> {
        let held = self.held.ids();
        let released = self.database.release(ANSWER, &self.claimant.worker, &held);
        let released = released.await;
        if let Err(error) = &released {
            telemetry::store_failed("release", error);
        }
        released.map(drop)
    }
}

/// How soon a worker finds an event that another server committed, or that is due again.
pub(crate) const IDLE: Duration = Duration::from_secs(1);
