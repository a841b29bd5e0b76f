use std::{
    error::Error,
    fs,
    future::Future,
    io,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};
use tokio::{sync::Mutex, time};
use tower_pyannote_inbox::{Inbox, InboxStats};

/// Opens a local directory for the archive, making it if need be, and writes to it once to see that it can store.
///
/// Files are flushed to the disk before a write succeeds.
///
/// # Errors
///
/// Returns an error if the directory cannot be made or written to.
pub async fn open_directory(dir: impl AsRef<Path>) -> io::Result<Arc<dyn ObjectStore>> {
    let dir = dir.as_ref();
    let local = || -> Result<LocalFileSystem, Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        // A 200 is a promise, which has to outlive a loss of power.
        Ok(LocalFileSystem::new_with_prefix(dir)?.with_fsync(true))
    };
    let store = Arc::new(local().map_err(|error| io::Error::other(cause(&*error)))?);
    probe(&*store).await.map_err(io::Error::other)?;
    Ok(store)
}

/// Whether the inbox and the store can store, found by trying, but no more often than once a second.
pub(crate) struct Health {
    inbox: Inbox,
    store: Arc<dyn ObjectStore>,
    last: Shared<Findings>,
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
            last: Shared::default(),
        }
    }

    /// Answers within 5 s.
    pub(crate) async fn check(&self) -> Findings {
        let (inbox, store) = (self.inbox.clone(), Arc::clone(&self.store));
        let check = async move {
            let (inbox, storage) =
                tokio::join!(inbox.check(), time::timeout(TIMEOUT, probe(&*store)));
            Findings {
                inbox: inbox.map_err(|error| error.to_string()),
                storage: storage
                    .unwrap_or_else(|_| Err(format!("no answer within {} s", TIMEOUT.as_secs()))),
            }
        };
        let checked = self.last.or_find(|_| FRESH, check).await;
        checked.unwrap_or_else(|| Findings {
            inbox: Err(PANICKED.to_owned()),
            storage: Err(PANICKED.to_owned()),
        })
    }
}

/// How much is in the inbox.
pub(crate) struct Counted {
    inbox: Inbox,
    last: Shared<Option<(Timestamp, InboxStats)>>,
}

impl Counted {
    pub(crate) fn of(inbox: Inbox) -> Self {
        Self {
            inbox,
            last: Shared::default(),
        }
    }

    /// The counts, and when they were begun; `None` if the database failed or does not answer within 2 s.
    pub(crate) async fn stats(&self) -> Option<(Timestamp, InboxStats)> {
        let inbox = self.inbox.clone();
        let count = async move {
            let begun = Timestamp::now();
            Some((begun, inbox.stats().await.ok()?))
        };
        // A count takes longer the more there is to count. So up to 1 s a count, counting takes a tenth of the time.
        let fresh = |took: Duration| (took * 10).clamp(FRESH / 10, FRESH * 10);
        let counted = time::timeout(PAGE_TIMEOUT, self.last.or_find(fresh, count));
        counted.await.ok()??
    }
}

/// An answer that all askers share, because anyone can ask, and finding it takes a connection that a delivery may wait for.
struct Shared<T>(Arc<Mutex<Option<Found<T>>>>);

struct Found<T> {
    answer: T,
    fresh_until: Instant,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Shared<T> {
    /// Returns the last answer if it is fresh, or else what `find` finds, one asker at a time; `None` if that panics.
    ///
    /// `fresh` says how long an answer lasts, from how long it took to find.
    async fn or_find(
        &self,
        fresh: impl FnOnce(Duration) -> Duration + Send + 'static,
        find: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut last = Arc::clone(&self.0).lock_owned().await;
        match &*last {
            Some(found) if Instant::now() < found.fresh_until => return Some(found.answer.clone()),
            _ => {}
        }
        // In a task of its own, because the next asker would begin again if this one left.
        let found = tokio::spawn(async move {
            let begun = Instant::now();
            let answer = find.await;
            *last = Some(Found {
                answer: answer.clone(),
                fresh_until: Instant::now() + fresh(begun.elapsed()),
            });
            answer
        });
        found.await.ok()
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
const PANICKED: &str = "the check panicked";

/// For the counts on a page, which is then answered without them.
const PAGE_TIMEOUT: Duration = Duration::from_secs(2);
