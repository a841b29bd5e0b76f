use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    committer::Committer,
    entry::{Commit, InboxEntry, InboxFilter, InboxStats, Replay},
    error::{InboxError, InboxErrorKind},
    held::Wake,
    pool::pool_for,
    record::{Record, Source, nanoseconds},
    store::{Database, Store},
    telemetry, work,
};
use tower_pyannote::WebhookEvent;

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
        // No event has another kind of id.
        let Ok(id) = id.parse() else {
            return Ok(None);
        };
        let Some(stored) = self.database.ask(|store| store.event(id)).await? else {
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
        let Ok(number) = id.parse() else {
            return Ok(false);
        };
        let replayed = self
            .database
            .ask(|store| store.replay(number, replay))
            .await?;
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

const CHECK: Duration = Duration::from_millis(4_500);
