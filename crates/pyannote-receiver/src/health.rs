use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use object_store::ObjectStore;
use tokio::time;
use tower_pyannote_inbox::{Inbox, InboxStats};

use crate::{cached::Cached, store::probe};

/// Tests at most once a second whether the inbox and the store accept writes.
pub(crate) struct Health {
    inbox: Inbox,
    store: Arc<dyn ObjectStore>,
    last: Cached<Report>,
    ready: Cached<bool>,
}

/// The result of each test.
#[derive(Clone)]
pub(crate) struct Report {
    pub(crate) inbox: Result<(), String>,
    pub(crate) storage: Result<(), String>,
}

impl Health {
    pub(crate) fn new(inbox: Inbox, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            inbox,
            store,
            last: Cached::default(),
            ready: Cached::default(),
        }
    }

    /// Returns within 5 s.
    pub(crate) async fn check(&self) -> Report {
        let (inbox, store) = (self.inbox.clone(), Arc::clone(&self.store));
        let check = async move {
            let storage = time::timeout(CHECK_TIMEOUT, probe(&*store));
            let (inbox, storage) = tokio::join!(inbox.check(), storage);
            let timed_out = |_| Err(format!("no answer within {} s", CHECK_TIMEOUT.as_secs()));
            Report {
                inbox: inbox.map_err(|error| error.to_string()),
                storage: storage.unwrap_or_else(timed_out),
            }
        };
        let checked = self.last.get(|_| LIFETIME, check).await;
        let panicked = || Err("the check panicked".to_owned());
        checked.unwrap_or_else(|| Report {
            inbox: panicked(),
            storage: panicked(),
        })
    }
}

impl Health {
    /// Returns within 2 s whether events can be committed. The archive does not matter, because events wait in the inbox.
    pub(crate) async fn ready(&self) -> bool {
        let inbox = self.inbox.clone();
        let check = async move { inbox.check().await.is_ok() };
        let ready = time::timeout(READY_TIMEOUT, self.ready.get(|_| LIFETIME, check));
        matches!(ready.await, Ok(Some(true)))
    }
}

/// Counts the events in the inbox.
pub(crate) struct InboxCounts {
    inbox: Inbox,
    last: Cached<Option<(Timestamp, InboxStats)>>,
}

impl InboxCounts {
    pub(crate) fn new(inbox: Inbox) -> Self {
        let last = Cached::default();
        Self { inbox, last }
    }

    /// Returns the counts and the time when counting began. Returns `None` if the database fails or takes more than 2 s.
    pub(crate) async fn get(&self) -> Option<(Timestamp, InboxStats)> {
        let inbox = self.inbox.clone();
        let count = async move {
            let begun = Timestamp::now();
            Some((begun, inbox.stats().await.ok()?))
        };
        // Counting slows with the number of events. Up to 1 s a count, it takes at most a tenth of the time.
        let lifetime = |took: Duration| (took * 10).clamp(LIFETIME / 10, LIFETIME * 10);
        let counted = time::timeout(COUNT_TIMEOUT, self.last.get(lifetime, count));
        counted.await.ok()??
    }
}

const LIFETIME: Duration = Duration::from_secs(1);
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
const READY_TIMEOUT: Duration = Duration::from_secs(2);
const COUNT_TIMEOUT: Duration = Duration::from_secs(2);
