use std::{fmt, future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    backoff::{Backoff, LONGEST_BACKOFF},
    config_error::ConfigError,
    error::InboxError,
    feed::{Feed, IDLE},
    held::{Claimant, Held},
    inbox::Inbox,
    room::Room,
    store::ANSWER,
    telemetry,
    upkeep::{housekeeping, keep_alive, steadily},
    work::{Attempts, Rules, persist},
};
use tower_pyannote::HandlerRegistry;

impl Inbox {
    /// Creates a worker that runs these handlers over committed events.
    pub fn worker(&self, registry: HandlerRegistry) -> InboxWorker {
        InboxWorker::new(self.clone(), registry)
    }
}

/// Runs handlers over the events that an [`Inbox`] has committed, until each event is handled.
///
/// 1. A worker handles up to 4 events [at the same time](Self::with_concurrency). Events of one job run one after another, in
///    the order in which they were committed, whichever worker claims them. A later event waits for the retries of an earlier
///    one, and runs once the earlier event is handled or dead.
/// 2. Each handler runs under the registry's timeout. An event is retried while a handler fails with an error that a retry may
///    fix, or panics: up to [8 attempts](Self::with_max_attempts), with [exponential backoff](Self::with_backoff).
/// 3. A retry runs only the handlers that have not succeeded; their names tell them apart. A handler that returned a
///    [permanent](tower_pyannote::HandlerError::permanent) error does not run again.
/// 4. An event is *dead* when its attempts are used up, or when only permanent errors are left. A dead event stays in the inbox, is
///    counted, and can be listed and [replayed](Inbox::replay). An event that cannot be read is dead at once.
/// 5. Handled events are removed after [7 days](Self::with_retention).
/// 6. If a worker dies, other workers take its events after its [lease](Self::with_lease), 30 s. The cut-off attempt counts, so
///    that an event that kills its worker is dead in the end.
///
/// Leases and delays use the clock of the machine with SQLite, and the database's clock with PostgreSQL. If the clock jumps
/// forward by more than a lease, a live worker seems dead. If it is set back, no event waits longer than its own delay.
///
/// **Handlers must be idempotent.** An event is handled at least once: if a worker dies between the end of a handler and the
/// commit of its result, or is cut off for longer than its lease, the handler runs again.
///
/// See [`Inbox`] for an example.
#[must_use = "a worker does nothing until it is run"]
pub struct InboxWorker {
    inbox: Inbox,
    registry: HandlerRegistry,
    concurrency: usize,
    memory: u32,
    rules: Rules,
    lease: Duration,
    drain: Duration,
    retention: Duration,
}

impl InboxWorker {
    pub(crate) fn new(inbox: Inbox, registry: HandlerRegistry) -> Self {
        Self {
            inbox,
            registry,
            concurrency: 4,
            memory: 128 << 20,
            rules: Rules {
                max_attempts: 8,
                backoff: Backoff {
                    first: Duration::from_secs(5),
                    longest: Duration::from_secs(60 * 60),
                },
            },
            lease: Duration::from_secs(30),
            drain: Duration::from_secs(10),
            retention: WEEK,
        }
    }

    /// Sets how many events are handled at the same time. Default: 4.
    ///
    /// Each takes at most 896 KiB beside the [memory](Self::with_memory) of the worker.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for 0, and for more than 10,000.
    pub fn with_concurrency(mut self, events: usize) -> Result<Self, ConfigError> {
        let fits = (1..=10_000).contains(&events);
        demand(fits, "concurrency", "from 1 to 10000")?;
        self.concurrency = events;
        Ok(self)
    }

    /// Sets the memory for the bodies of events that are handled at the same time, in bytes. Default: 128 MiB.
    ///
    /// The first 64 KiB of each body are not counted, so that small events never wait. A larger event waits until there is
    /// memory for it. A body and its typed output take at most six times the body. See [`Inbox`](Inbox#memory) for the sum.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for less than 1 MiB, and for more than 1 GiB.
    pub fn with_memory(mut self, bytes: u32) -> Result<Self, ConfigError> {
        let fits = (1 << 20..=1 << 30).contains(&bytes);
        demand(fits, "memory", "from 1 MiB to 1 GiB")?;
        self.memory = bytes;
        Ok(self)
    }

    /// Sets the number of attempts after which an event is dead. Default: 8, which with the default backoff takes 10 to 21 minutes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for 0.
    pub fn with_max_attempts(mut self, attempts: u32) -> Result<Self, ConfigError> {
        demand(attempts > 0, "max_attempts", "at least 1")?;
        self.rules.max_attempts = attempts;
        Ok(self)
    }

    /// Sets the delay after the first failed attempt, and the longest delay. Default: 5 s and 1 h.
    ///
    /// Each delay is twice the one before, up to the longest, plus a random part of at most the same length, so that
    /// events that failed together are not retried together. If handlers ask for a delay by
    /// [`HandlerError::retry_after`](tower_pyannote::HandlerError::retry_after), the longest of their delays, at most 7
    /// days, replaces the backoff.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] if `first` is longer than `longest`, or `longest` is longer than 7 days.
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Result<Self, ConfigError> {
        demand(
            first <= longest && longest <= LONGEST_BACKOFF,
            "backoff",
            "the first pause at most as long as the longest, and that at most 7 days",
        )?;
        self.rules.backoff = Backoff { first, longest };
        Ok(self)
    }

    /// Sets the lease: other workers take the events of a worker that does not renew its lease for this time. Default:
    /// 30 s.
    ///
    /// A worker renews its lease after each third of the lease.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for less than 3 s, and for more than an hour.
    pub fn with_lease(mut self, lease: Duration) -> Result<Self, ConfigError> {
        let fits = (SHORTEST_LEASE..=LONGEST_LEASE).contains(&lease);
        demand(fits, "lease", "from 3 s to 1 h")?;
        self.lease = lease;
        Ok(self)
    }

    /// Sets how long handlers may still run after the worker is stopped. Default: 10 s.
    ///
    /// Then the worker cuts the handlers off, and hands their events back. A handler is cut off where it waits. A handler that
    /// blocks its thread has 5 s more; then its event is left to the lease. Handing back takes at most 5 s.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    /// Sets how long handled events are kept, and their duplicates recognized. Default: 7 days.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::Worker`] for less than an hour, in which pyannoteAI may still repeat a delivery.
    pub fn with_retention(mut self, age: Duration) -> Result<Self, ConfigError> {
        demand(age >= SHORTEST_RETENTION, "retention", "at least 1 h")?;
        self.retention = age;
        Ok(self)
    }

    /// Handles events until `stop` completes. Then waits for running handlers, up to the drain timeout, and hands back
    /// the events that are not done.
    ///
    /// While the database does not answer, the worker waits.
    ///
    /// # Errors
    ///
    /// Returns an error if the worker could not hand back its events because the database failed. Other workers take
    /// these events after the lease.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), InboxError> {
        let worker: Arc<str> = format!("worker-{:032x}", fastrand::u128(..)).into();
        let database = self.inbox.database.clone();
        let wake = self.inbox.wake.clone();
        let mut stop = pin!(stop);
        let registered = persist("register", &database, || {
            database.keep_alive(ANSWER, &worker, self.lease)
        });
        tokio::select! {
            _ = registered => {}
            () = &mut stop => return Ok(()),
        }
        let (kept, name, lease) = (database.clone(), Arc::clone(&worker), self.lease);
        let woken = wake.clone();
        let _alive =
            steadily(move || keep_alive(kept.clone(), woken.clone(), Arc::clone(&name), lease));
        let (inbox, retention) = (self.inbox.clone(), self.retention);
        let _tidy = steadily(move || housekeeping(inbox.clone(), retention));

        let group = self.inbox.group_of_worker();
        let claimant = Arc::new(Claimant::new(Arc::clone(&worker)));
        let held = Held::default();
        let mut feed = Feed {
            database: database.clone(),
            wake,
            group: group.clone(),
            held: held.clone(),
            claimant: Arc::clone(&claimant),
            lease: self.lease,
            is_unsure: false,
            handed_back: Instant::now(),
            is_due: true,
            seen: 0,
        };
        let attempts = Arc::new(Attempts {
            database: database.clone(),
            registry: self.registry,
            rules: self.rules,
            group: group.clone(),
            room: Room::new(self.memory),
            traces: self.inbox.traces.clone(),
        });
        let mut running = JoinSet::new();
        let mut finding = JoinSet::new();
        loop {
            while running.try_join_next().is_some() {}
            claimant.set_free(self.concurrency.saturating_sub(running.len()));
            if finding.is_empty() {
                finding.spawn(feed.clone().next());
            }
            tokio::select! {
                Some(_) = running.join_next() => {}
                Some(found) = finding.join_next() => match found {
                    Ok((next, claimed)) => {
                        feed = next;
                        for event in claimed {
                            let holding = held.hold(event.claim.id);
                            running.spawn(Arc::clone(&attempts).run(event, holding));
                        }
                    }
                    // The claim panicked. A recorder of logs or metrics can cause that.
                    Err(_) => {
                        feed.is_unsure = true;
                        time::sleep(IDLE).await;
                    }
                },
                () = &mut stop => break,
            }
        }
        telemetry::draining();
        finding.shutdown().await;
        // A transaction that had already begun may have claimed events.
        let _ = time::timeout(HAND_BACK, group.settled()).await;
        // Hand back the last claim, which may have been committed. If this fails, the release below hands it back.
        let _ = feed.hand_back().await;
        let finished = async { while running.join_next().await.is_some() {} };
        let in_time = time::timeout(self.drain, finished).await.is_ok();
        running.abort_all();
        // No other worker may begin an event while a handler that was cut off still runs.
        let _ = time::timeout(HAND_BACK, held.emptied()).await;
        let left = held.ids();
        let released = database.release(HAND_BACK, &worker, &left);
        telemetry::drained(in_time, released.await?, left.len());
        Ok(())
    }
}

impl fmt::Debug for InboxWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InboxWorker")
            .field("registry", &self.registry)
            .field("concurrency", &self.concurrency)
            .field("memory", &self.memory)
            .field("rules", &self.rules)
            .field("lease", &self.lease)
            .field("drain_timeout", &self.drain)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

fn demand(met: bool, setting: &'static str, demand: &'static str) -> Result<(), ConfigError> {
    if met {
        Ok(())
    } else {
        Err(ConfigError::Worker { setting, demand })
    }
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const SHORTEST_LEASE: Duration = Duration::from_secs(3);
const LONGEST_LEASE: Duration = Duration::from_secs(60 * 60);
const SHORTEST_RETENTION: Duration = Duration::from_secs(60 * 60);

/// How long a worker that is stopped waits for handlers that were cut off, and for the database.
const HAND_BACK: Duration = Duration::from_secs(5);
