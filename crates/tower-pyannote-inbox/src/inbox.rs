#[cfg(feature = "sqlite")]
use std::path::Path;
use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    committer::Committer,
    entry::{Commit, InboxEntry, InboxFilter, InboxStats, Replay},
    error::{InboxError, InboxErrorKind},
    pool::pool_for,
    record::{Record, Source, nanoseconds},
    service::InboxService,
    store::{Database, Missing, Store},
    telemetry, work,
    worker::{InboxWorker, Wake},
};
use tower_pyannote::{HandlerRegistry, WebhookEvent};

/// A durable inbox: what it acknowledged is committed to a database, and is handled until that succeeds.
///
/// pyannoteAI gives a delivery up after about six minutes, and deletes the output a day later. So the HTTP side,
/// [`service`](Self::service), does nothing but to commit an event and answer; [`worker`](Self::worker) runs the handlers
/// over what was committed, in this process or in others.
///
/// 1. An answer of 200 means committed: with SQLite, flushed to the disk; with PostgreSQL, as its `synchronous_commit` says.
/// 2. The body is stored as it was received, with the time and the retry of its delivery; the event that a handler meets is
///    the one that was received. Its freshness was checked when it came and is not checked again.
/// 3. A job comes to one status once: a second delivery of the same `jobId` and `status` is acknowledged and not handled
///    again. If its body is another, it is kept aside, logged and counted as a conflict; the first one stays.
/// 4. Concurrent deliveries share a commit.
///
/// Duplicates are known for as long as the event is kept, 7 days after it was handled by default.
///
/// The database is SQLite, in one file on a local disk, or PostgreSQL, for many servers. What is in it is as secret as the
/// meetings are: bodies are stored in clear.
///
/// Cloning is cheap. An inbox has to be opened, and used, on tokio.
///
/// # Example: a receiver that answers at once and a worker
///
/// ```no_run
/// use tower::ServiceBuilder;
/// use tower_pyannote::{HandlerRegistry, PyannoteSignatureLayer, WebhookEvent, WebhookSecret};
/// use tower_pyannote_inbox::Inbox;
///
/// # async fn run(stop: impl std::future::Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
///
/// let webhook = ServiceBuilder::new()
///     .layer(PyannoteSignatureLayer::new(WebhookSecret::new("whs_example")?))
///     .service(inbox.service());
/// # let _ = |request: http::Request<http_body_util::Full<bytes::Bytes>>| tower::ServiceExt::oneshot(webhook, request);
///
/// let registry = HandlerRegistry::new().on_any("print", async |event: WebhookEvent| {
///     println!("{}: attempt {}", event.job_id(), event.attempt());
///     Ok(())
/// })?;
/// inbox.worker(registry).with_concurrency(8)?.run_until(stop).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Inbox {
    pub(crate) database: Database,
    committer: Committer,
    pub(crate) wake: Wake,
}

impl Inbox {
    /// Opens the inbox at an address: `sqlite://` and a path, or `postgres://user:password@host/database`.
    ///
    /// A path is taken as it stands, and has no parameters after a `?`. What is not there yet is made.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Address`] for any other address, for one with parameters that are not known, or if the
    /// feature it needs is off, and [`InboxErrorKind::Open`] if the database cannot be opened or brought up to date.
    pub async fn open(address: &str) -> Result<Self, InboxError> {
        Self::open_or(address, Missing::Made).await
    }

    /// Opens an inbox that is there, as [`open`](Self::open) does, and makes none.
    ///
    /// An inbox that an earlier version of this crate made is brought up to date.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`open`](Self::open), and [`InboxErrorKind::Open`] if there is no inbox at the address. No file
    /// and no table is made then.
    pub async fn open_existing(address: &str) -> Result<Self, InboxError> {
        Self::open_or(address, Missing::Refused).await
    }

    async fn open_or(address: &str, missing: Missing) -> Result<Self, InboxError> {
        match address.split_once(':') {
            #[cfg(feature = "sqlite")]
            Some(("sqlite", path)) => {
                let path = path.strip_prefix("//").unwrap_or(path);
                if let Some((_, parameters)) = path.split_once('?') {
                    return Err(unknown_parameters(parameters));
                }
                Self::sqlite_or(path.as_ref(), missing).await
            }
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Self::postgres_or(address, missing).await,
            _ => Err(InboxError::new(InboxErrorKind::Address)),
        }
    }

    /// Opens the inbox in a file of SQLite, and makes it, with its folder, if it is not there.
    ///
    /// The file is in WAL mode, with `synchronous` at `FULL`: it needs a local disk, and beside it lie a `-wal` and a
    /// `-shm` file that belong to it. If the file or its `-wal` file is removed, replaced or truncated while the inbox is
    /// open, every commit fails until the inbox is opened again.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Open`] if the file cannot be opened, made or brought up to date.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite(path: impl AsRef<Path>) -> Result<Self, InboxError> {
        Self::sqlite_or(path.as_ref(), Missing::Made).await
    }

    /// Opens the inbox in a file of SQLite that is there, as [`sqlite`](Self::sqlite) does, and makes none.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Open`] if there is no inbox in the file, or no file, or if it cannot be opened or brought
    /// up to date.
    #[cfg(feature = "sqlite")]
    pub async fn sqlite_existing(path: impl AsRef<Path>) -> Result<Self, InboxError> {
        Self::sqlite_or(path.as_ref(), Missing::Refused).await
    }

    #[cfg(feature = "sqlite")]
    async fn sqlite_or(path: &Path, missing: Missing) -> Result<Self, InboxError> {
        let store = opened(crate::sqlite::SqliteStore::open(path, missing)).await?;
        Ok(Self::over(Arc::new(store)))
    }

    /// Opens the inbox in a PostgreSQL database, whose tables it makes if they are not there.
    ///
    /// They are in the schemas `tower_pyannote` and `apalis`; the extension `hstore` has to be there, or the role be
    /// allowed to create it, as the owner of a database is. A database that starts, or has no connection free, is waited
    /// for, for 4 s.
    ///
    /// # Errors
    ///
    /// Returns [`InboxErrorKind::Address`] if the address cannot be read, or has a parameter that is not known, and [`InboxErrorKind::Open`] if the database
    /// cannot be reached or brought up to date.
    #[cfg(feature = "postgres")]
    pub async fn postgres(url: &str) -> Result<Self, InboxError> {
        Self::postgres_or(url, Missing::Made).await
    }

    #[cfg(feature = "postgres")]
    async fn postgres_or(url: &str, missing: Missing) -> Result<Self, InboxError> {
        let store = opened(crate::postgres::PostgresStore::open(url, missing)).await?;
        Ok(Self::over(Arc::new(store)))
    }

    /// The store itself, to be put under another one.
    #[cfg(feature = "testing")]
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.database.store()
    }

    pub(crate) fn over(store: Arc<dyn Store>) -> Self {
        let database = Database::new(store);
        let wake = Wake::default();
        let committer = Committer::start(&database, &wake);
        Self {
            database,
            committer,
            wake,
        }
    }

    /// Makes the HTTP side, to stand under `PyannoteSignatureLayer`.
    pub fn service(&self) -> InboxService {
        InboxService::new(self.clone())
    }

    /// Makes a worker that runs these handlers over what is committed.
    pub fn worker(&self, registry: HandlerRegistry) -> InboxWorker {
        InboxWorker::new(self.clone(), registry)
    }

    /// Commits an event, and says what it was to the inbox.
    ///
    /// The event must be one whose signature was verified, or that was fetched from pyannoteAI's API.
    ///
    /// # Errors
    ///
    /// Returns an error within 5 s if the database failed or did not answer. The event may be committed all the same, where
    /// the answer was lost; when it comes again it is then a duplicate.
    pub async fn commit(&self, event: &WebhookEvent) -> Result<Commit, InboxError> {
        let commit = self
            .committer
            .commit(record(event, Source::Delivered))
            .await;
        telemetry::answered(event, &commit);
        commit
    }

    /// Commits an event that the API told of, for which there is more time than a delivery has.
    #[cfg(feature = "reconcile")]
    pub(crate) async fn commit_fetched(&self, event: &WebhookEvent) -> Result<Commit, InboxError> {
        let record = record(event, Source::Fetched).await;
        let commit = crate::committer::commit_alone(&self.database, &self.wake, record).await;
        telemetry::answered(event, &commit);
        commit
    }

    /// Checks that events can be committed and handled, by writing to the database, and by how the last work in it went.
    ///
    /// That work is the last commit, and of this process's workers the last claim, result and count. A failure counts until
    /// the next success of the same kind, and for a minute at most.
    ///
    /// # Errors
    ///
    /// Returns an error within 5 s if the database could not be written to, or if the last work of a kind failed.
    pub async fn check(&self) -> Result<(), InboxError> {
        let probed = self.database.ask_within(CHECK, |store| store.probe());
        probed.await?;
        self.database.recent().check()
    }

    /// Counts what is in the inbox.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn stats(&self) -> Result<InboxStats, InboxError> {
        let stats = self.database.ask(|store| store.stats()).await;
        self.database.recent().counts.note(&stats);
        stats
    }

    /// Lists events, the last received first.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn list(&self, filter: &InboxFilter) -> Result<Vec<InboxEntry>, InboxError> {
        self.database.ask(|store| store.list(filter)).await
    }

    /// Reads an event with its body; `None` if there is none of this id.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s, or if what is stored is no event: then the
    /// [`EventError`](tower_pyannote::event::EventError) is the source.
    pub async fn event(&self, id: &str) -> Result<Option<WebhookEvent>, InboxError> {
        let Some(stored) = self.database.ask(|store| store.body(id)).await? else {
            return Ok(None);
        };
        let event = work::event(stored, 1).await;
        event
            .map(Some)
            .map_err(|error| InboxError::because(InboxErrorKind::Store, error))
    }

    /// Makes an event due once more, with all its attempts before it; `false` if there is none of this id, or a worker
    /// holds it.
    ///
    /// Of an event that was handled all handlers meet it again.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn replay(&self, id: &str, replay: Replay) -> Result<bool, InboxError> {
        let replayed = self.database.ask(|store| store.replay(id, replay)).await?;
        if replayed {
            telemetry::replayed(id);
            self.wake.notify();
        }
        Ok(replayed)
    }

    /// Removes the events that were handled longer ago than this, and says how many those were.
    ///
    /// A worker does so by itself. Events that are not handled, or dead, stay.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn prune(&self, age: Duration) -> Result<u64, InboxError> {
        let before = SystemTime::now().checked_sub(age).map_or(0, nanoseconds);
        let mut pruned = 0;
        loop {
            let part = self.database.ask(|store| store.prune(before)).await?;
            if part == 0 {
                return Ok(pruned);
            }
            pruned += part;
        }
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

/// An open database, or an error if it takes more than a minute.
async fn opened<T>(open: impl Future<Output = Result<T, InboxError>>) -> Result<T, InboxError> {
    match tokio::time::timeout(OPENING, open).await {
        Ok(opened) => opened,
        Err(_) => Err(InboxError::because(
            InboxErrorKind::Open,
            "no answer within a minute",
        )),
    }
}

/// The names alone: what is after a `=` may be a secret.
#[cfg(feature = "sqlite")]
fn unknown_parameters(parameters: &str) -> InboxError {
    let names: Vec<&str> = parameters
        .split('&')
        .map(|parameter| {
            parameter
                .split_once('=')
                .map_or(parameter, |(name, _)| name)
        })
        .collect();
    let names = names.join(", ");
    InboxError::because(
        InboxErrorKind::Address,
        format!("an address of sqlite has no parameters, and this one has {names}: leave them out"),
    )
}

async fn record(event: &WebhookEvent, source: Source) -> Record {
    // To hash takes about half a millisecond a MiB.
    if let Some(pool) = pool_for(event.raw().len()) {
        let event = event.clone();
        if let Ok(record) = pool
            .spawn_blocking(move || Record::of(&event, source))
            .await
        {
            return record;
        }
    }
    Record::of(event, source)
}

const OPENING: Duration = Duration::from_secs(60);

const CHECK: Duration = Duration::from_millis(4_500);
