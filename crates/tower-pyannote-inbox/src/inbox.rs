use std::{fmt, future::Future, time::Duration};

#[cfg(feature = "reconcile")]
use tracing::Instrument;
use tracing::Span;

use crate::{
    committer::Committer,
    database::Database,
    entry::{Commit, InboxEntry, InboxStats},
    error::InboxError,
    filter::InboxFilter,
    group::Group,
    held::Wake,
    pool::pool_for,
    record::{Record, trace},
    store::{ANSWER, Grouping},
    telemetry,
    trace::Traces,
};
use tower_pyannote::{WebhookEvent, event::Source};

/// A durable inbox: commits events to a database before they are acknowledged, and keeps them until they are handled.
///
/// pyannoteAI gives up a delivery after about six minutes, and deletes the output after a day. The HTTP side,
/// [`service`](Self::service), therefore only commits an event and answers. A [`worker`](Self::worker) runs the
/// handlers over committed events, in this process or in others.
///
/// 1. 200 means committed. SQLite flushes each commit to the disk. With PostgreSQL, `synchronous_commit` decides.
/// 2. The body is stored as it was received, with the time and the retry of its delivery, so that a handler gets the event that
///    was received. The layer checked its freshness at that time; nothing checks it again.
/// 3. Events are deduplicated by job id and status: a duplicate is acknowledged and runs no handler. If its body differs, the
///    inbox keeps the body as a conflict, and logs and counts it. The first body stays.
/// 4. Deliveries that arrive together share a commit.
///
/// Duplicates are recognized while the event is stored, by default for 7 days after it was handled.
///
/// The database is SQLite, in one file on a local disk, or PostgreSQL, for many replicas. Protect it like the
/// recordings, because the inbox does not encrypt bodies.
///
/// # Memory
///
/// An inbox takes at most the sum of these, by default 1,028 MiB with one worker:
///
/// | part | limit | default | setting |
/// |---|---|---|---|
/// | bodies that wait for their commit or are in one, and the database driver's copies | 4 times the commit memory | 256 MiB | [`with_commit_memory`](crate::InboxBuilder::with_commit_memory) |
/// | bodies and typed outputs of the events that a worker handles | 6 times the worker's memory | 768 MiB | [`with_memory`](crate::InboxWorker::with_memory) |
/// | the first 64 KiB of each of these bodies, and their typed outputs; a worker claims the next event while the end of the last one is committed | 896 KiB for each event at a time | 4 MiB | [`with_concurrency`](crate::InboxWorker::with_concurrency) |
///
/// A body that is larger than the commit memory is committed alone, and one that is larger than the worker's memory is handled
/// alone. The limit is then the size of this body. Memory that a handler keeps is not counted.
///
/// Cloning is cheap. An inbox must be opened and used on tokio.
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
    pub(crate) traces: Traces,
}

impl Inbox {
    pub(crate) fn over(database: Database, commit_memory: usize) -> Self {
        let wake = Wake::default();
        let committer = Committer::start(&database, &wake, commit_memory);
        Self {
            database,
            committer,
            wake,
            traces: Traces::default(),
        }
    }

    pub(crate) fn with_traces(mut self, traces: Traces) -> Self {
        self.traces = traces;
        self
    }

    /// Returns the group for a worker's claims and results.
    ///
    /// A database with one writer has one group, so that they share transactions with deliveries. In any other, deliveries do
    /// not wait for the worker.
    pub(crate) fn group_of_worker(&self) -> Group {
        match self.database.grouping() {
            Grouping { parallel: 1, .. } => self.committer.group().clone(),
            grouping => {
                let alone = Grouping {
                    parallel: 1,
                    ..grouping
                };
                Group::start(&self.database, &self.wake, alone, ANSWER)
            }
        }
    }

    /// Commits an event, and returns whether it was new.
    ///
    /// The event's signature must be verified, or the event fetched from pyannoteAI's API.
    ///
    /// # Errors
    ///
    /// Returns an error within 5 s if the database failed or did not answer. If only the answer was lost, the event is committed,
    /// and its next delivery is a duplicate.
    pub async fn commit(&self, event: &WebhookEvent) -> Result<Commit, InboxError> {
        let span = Span::current();
        let record = self.trace(&span, record(event, Source::Webhook));
        let commit = self.committer.commit(record).await;
        telemetry::answered(event, &commit);
        self.traces
            .end(&span, telemetry::outcome(&commit), commit.is_ok());
        commit
    }

    /// Begins the span of a delivery, and adds its context to the record.
    ///
    /// Reads the submission before the commit, because its span is the parent. If the read fails, the delivery begins a trace.
    async fn trace(&self, span: &Span, record: impl Future<Output = Record>) -> Record {
        let mut record = record.await;
        if self.traces.is_on() {
            let job_key = record.job_key;
            let submitted = self
                .database
                .ask_within(LOOKUP, |store| store.submitted_trace(&job_key))
                .await;
            let submitted = submitted.ok().flatten();
            record.trace = self.traces.deliver(span, trace(submitted.as_deref()));
        }
        record
    }

    /// Commits an event that was fetched from the API. The commit may take longer than the commit of a delivery.
    #[cfg(feature = "reconcile")]
    pub(crate) async fn commit_fetched(&self, event: &WebhookEvent) -> Result<Commit, InboxError> {
        let span = telemetry::fetched_span(event);
        let commit = async {
            let record = self.trace(&span, record(event, Source::Api)).await;
            let commit = crate::committer::commit_alone(&self.database, &self.wake, record).await;
            telemetry::answered(event, &commit);
            commit
        };
        let commit = commit.instrument(span.clone()).await;
        self.traces
            .end(&span, telemetry::outcome(&commit), commit.is_ok());
        commit
    }

    /// Checks that events can be committed and handled: writes to the database, and looks at the last commit, claim, result and count
    /// of this process.
    ///
    /// A failure counts until the next success of the same kind, and for a minute at most.
    ///
    /// # Errors
    ///
    /// Returns an error within 5 s if the write failed, or if the last commit, claim, result or count failed.
    pub async fn check(&self) -> Result<(), InboxError> {
        let probed = self.database.ask_within(CHECK, |store| store.probe());
        probed.await?;
        self.database.recent().check()
    }

    /// Returns how many events are in each state.
    ///
    /// The database keeps these counts, so that the call takes as long with a million events as with ten.
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn stats(&self) -> Result<InboxStats, InboxError> {
        let stats = self.database.ask(|store| store.stats()).await;
        self.database.recent().counts.note(&stats);
        stats
    }

    /// Returns events without their bodies, the last received first.
    ///
    /// # Example: the next page
    ///
    /// ```
    /// # async fn next(inbox: tower_pyannote_inbox::Inbox) -> Result<(), tower_pyannote_inbox::InboxError> {
    /// use tower_pyannote_inbox::{InboxFilter, InboxState};
    ///
    /// let dead = InboxFilter::new().with_state(InboxState::Dead).with_limit(50);
    /// let page = inbox.list(&dead).await?;
    /// if let Some(last) = page.last() {
    ///     let next = inbox.list(&dead.with_before(last.cursor())).await?;
    ///     assert!(next.len() <= 50);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the database failed, or did not answer within 10 s.
    pub async fn list(&self, filter: &InboxFilter) -> Result<Vec<InboxEntry>, InboxError> {
        self.database.ask(|store| store.list(filter)).await
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

async fn record(event: &WebhookEvent, source: Source) -> Record {
    // Hashing takes about half a millisecond a MiB.
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

/// The timeout for reading the trace of a submission. It leaves the commit most of its 5 s.
const LOOKUP: Duration = Duration::from_secs(1);
