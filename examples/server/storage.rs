use std::{
    error::Error,
    fs, io,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};
use tokio::{sync::Mutex, time};
use tower_pyannote::{Inbox, InboxStats};

/// Opens the directory that events are kept in, making it if need be, and makes sure that it can store.
pub(crate) async fn open(dir: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    let local = || -> Result<LocalFileSystem, Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        // A 200 is a promise, which has to outlive a loss of power.
        Ok(LocalFileSystem::new_with_prefix(dir)?.with_fsync(true))
    };
    let store = Arc::new(local().map_err(|error| cause(&*error))?);
    probe(&*store).await?;
    Ok(store)
}

/// Whether the inbox and the store can store, found by trying, but no more often than once a second: anyone can ask.
pub(crate) struct Health {
    inbox: Inbox,
    store: Arc<dyn ObjectStore>,
    last: Mutex<Option<(Instant, Findings)>>,
}

/// What was found out about each.
#[derive(Clone)]
pub(crate) struct Findings {
    pub(crate) inbox: Result<(), String>,
    pub(crate) storage: Result<(), String>,
}

impl Health {
    pub(crate) fn of(inbox: Inbox, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            inbox,
            store,
            last: Mutex::new(None),
        }
    }

    pub(crate) async fn check(&self) -> Findings {
        let mut last = self.last.lock().await;
        match &*last {
            Some((when, findings)) if when.elapsed() < FRESH => findings.clone(),
            _ => {
                let (inbox, storage) = tokio::join!(
                    self.inbox.check(),
                    time::timeout(TIMEOUT, probe(&*self.store))
                );
                let findings = Findings {
                    inbox: inbox.map_err(|error| error.to_string()),
                    storage: storage.unwrap_or_else(|_| {
                        Err(format!("no answer within {} s", TIMEOUT.as_secs()))
                    }),
                };
                *last = Some((Instant::now(), findings.clone()));
                findings
            }
        }
    }
}

/// How much is in the inbox, counted by one asker at a time: anyone can ask, and each count takes a connection that a
/// delivery may wait for.
pub(crate) struct Counted {
    inbox: Inbox,
    turn: Mutex<()>,
}

impl Counted {
    pub(crate) fn of(inbox: Inbox) -> Self {
        Self {
            inbox,
            turn: Mutex::new(()),
        }
    }

    /// `None` if the database failed.
    pub(crate) async fn stats(&self) -> Option<InboxStats> {
        let _turn = self.turn.lock().await;
        self.inbox.stats().await.ok()
    }
}

async fn probe(store: &dyn ObjectStore) -> Result<(), String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    // A name of its own, as other servers may share the directory.
    let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let place = format!(".health/{process}-{count}").into();
    let stored = async {
        store.put(&place, "can this be stored?".into()).await?;
        store.delete(&place).await
    };
    stored.await.map_err(|error| cause(&error))
}

/// What the system said, without the path that is wrapped around it: it may be told to anyone.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    loop {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.to_string();
        }
        match error.source() {
            Some(source) => error = source,
            None => return error.to_string(),
        }
    }
}

const FRESH: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
