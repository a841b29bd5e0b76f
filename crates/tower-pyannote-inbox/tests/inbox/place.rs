//! Databases for tests, and helpers that commit and wait.

use std::{
    future::{Future, pending},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use sqlx::{Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use tokio::{
    sync::{Notify, oneshot},
    task::JoinHandle,
};
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::{Inbox, InboxEntry, InboxError, InboxFilter, InboxWorker};

use tower_pyannote_test_support::postgres::Postgres;

/// A new database, which a test may open more than once.
pub(crate) struct Place {
    address: String,
    _directory: Option<TempDir>,
}

impl Place {
    pub(crate) fn sqlite() -> Option<Self> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("of/its/own/inbox.sqlite");
        Some(Self {
            address: format!("sqlite://{}", path.display()),
            _directory: Some(directory),
        })
    }

    pub(crate) fn postgres() -> Option<Self> {
        static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);

        let server = SERVER.get_or_init(Postgres::start).as_ref()?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Some(Self {
            address: server.database(&format!("inbox_{number}")),
            _directory: None,
        })
    }

    /// A database that another part of the test deletes.
    pub(crate) fn at(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            _directory: None,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The socket that PostgreSQL listens on.
    pub(crate) fn socket(&self) -> PathBuf {
        let (_, directory) = self.address.split_once("?host=").unwrap();
        Path::new(&directory.replace("%2F", "/")).join(".s.PGSQL.5432")
    }

    /// Returns the address of the same database through a socket in another directory.
    pub(crate) fn address_at(&self, directory: &Path) -> String {
        let (database, _) = self.address.split_once("?host=").unwrap();
        format!(
            "{database}?host={}",
            directory.display().to_string().replace('/', "%2F")
        )
    }

    /// Changes the database behind the inbox's back.
    pub(crate) async fn execute(&self, statement: &str) {
        let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()));
        if self.address.starts_with("sqlite:") {
            let mut other = SqliteConnection::connect(&self.address).await.unwrap();
            statement.execute(&mut other).await.unwrap();
        } else {
            let mut other = PgConnection::connect(&self.address).await.unwrap();
            let path = "SET search_path = tower_pyannote";
            sqlx::raw_sql(path).execute(&mut other).await.unwrap();
            statement.execute(&mut other).await.unwrap();
        }
    }

    /// Replaces all bodies behind the inbox's back.
    pub(crate) async fn replace_bodies(&self, hex: &str) {
        let statement = match self.address.starts_with("sqlite:") {
            true => format!("UPDATE pyannote_bodies SET body = X'{hex}'"),
            false => format!("UPDATE pyannote_events SET body = '\\x{hex}'"),
        };
        self.execute(&statement).await;
    }

    pub(crate) async fn open(&self) -> Inbox {
        Inbox::open(&self.address).await.unwrap()
    }
}

/// Defines one test for each database from a function that takes a [`Place`].
macro_rules! on_each_store {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let place = crate::place::Place::sqlite().expect("it is always there");
                    super::$name(place).await;
                }
            )+
        }

        mod postgresql {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    if let Some(place) = crate::place::Place::postgres() {
                        super::$name(place).await;
                    }
                }
            )+
        }
    };
}
pub(crate) use on_each_store;

pub(crate) fn event(job_id: &str, status: &str, rest: &str) -> WebhookEvent {
    let job_id = serde_json::to_string(job_id).unwrap();
    event_of(format!(r#"{{"jobId":{job_id},"status":"{status}"{rest}}}"#))
}

pub(crate) fn event_of(body: String) -> WebhookEvent {
    let received_at = UNIX_EPOCH + Duration::new(1_767_225_600, 123_456_789);
    WebhookEvent::new(body.into(), Delivery::at(received_at)).unwrap()
}

/// Returns a handler that logs the job id and the attempt of each event.
pub(crate) fn counting(log: &Log, name: &'static str) -> HandlerRegistry {
    let log = log.clone();
    HandlerRegistry::new()
        .on_any(name, move |event: WebhookEvent| {
            log.add(format!("{} {}", event.job_id(), event.attempt()));
            async { Ok(()) }
        })
        .unwrap()
}

/// Returns a handler that waits, a signal that it has begun, and a signal that lets it continue.
pub(crate) fn waiting() -> (HandlerRegistry, Arc<Notify>, Arc<Notify>) {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let registry = HandlerRegistry::new()
        .on_any("wait", move |_: WebhookEvent| {
            tell.notify_one();
            let wait = Arc::clone(&wait);
            async move {
                wait.notified().await;
                Ok(())
            }
        })
        .unwrap();
    (registry, begun, go_on)
}

/// Runs a worker. Aborting the handle kills it without a release of its events.
pub(crate) fn spawn(worker: InboxWorker) -> JoinHandle<()> {
    tokio::spawn(async move { worker.run_until(pending()).await.unwrap() })
}

/// Runs a worker that stops at a message, or when the sender is dropped.
pub(crate) fn stoppable(
    worker: InboxWorker,
) -> (oneshot::Sender<()>, JoinHandle<Result<(), InboxError>>) {
    let (stop, stopped) = oneshot::channel();
    let worker = tokio::spawn(worker.run_until(async {
        let _ = stopped.await;
    }));
    (stop, worker)
}

/// Returns a worker without backoff and with the shortest lease.
pub(crate) fn hasty(inbox: &Inbox, registry: HandlerRegistry) -> InboxWorker {
    inbox
        .worker(registry)
        .with_backoff(Duration::ZERO, Duration::ZERO)
        .unwrap()
        .with_lease(Duration::from_secs(3))
        .unwrap()
}

/// Polls a condition for up to a minute.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let begun = Instant::now();
    while !holds().await {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Commits a succeeded event without output.
pub(crate) async fn commit(inbox: &Inbox, job_id: &str) {
    inbox.commit(&event(job_id, "succeeded", "")).await.unwrap();
}

/// Waits until a job's one event is in a state.
pub(crate) async fn until_state(inbox: &Inbox, job_id: &str, expected: &str) {
    until(expected, async || state(inbox, job_id).await == expected).await;
}

/// Waits until this number of events is handled.
pub(crate) async fn until_handled(inbox: &Inbox, events: u64) {
    until("handled", async || {
        inbox.stats().await.unwrap().handled == events
    })
    .await;
}

pub(crate) async fn entry(inbox: &Inbox, job_id: &str) -> InboxEntry {
    let filter = InboxFilter::new().with_job_id(job_id);
    let entries = inbox.list(&filter).await.unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.into_iter().next().unwrap()
}

pub(crate) async fn state(inbox: &Inbox, job_id: &str) -> &'static str {
    entry(inbox, job_id).await.state.as_str()
}

/// The lines that handlers logged, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
