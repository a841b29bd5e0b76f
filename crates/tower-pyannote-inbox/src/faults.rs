use std::{
    collections::HashSet,
    fmt,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crate::{
    builder::COMMIT_MEMORY,
    details::InboxDetails,
    entry::{Commit, InboxEntry, InboxFilter, InboxStats, Replay},
    gate::{StoreCall, StoreGate, commanded, gated},
    inbox::Inbox,
    record::Stored,
    store::{Batch, Done, Grouping, Store, StoreFuture},
    transfer::Import,
};
#[cfg(feature = "reconcile")]
use crate::{
    record::{NewIntent, Submission},
    store::SubmissionStore,
    unanswered::UnansweredSubmission,
};
#[cfg(feature = "reconcile")]
use tower_pyannote::event::Text;

/// Makes the database under an [`Inbox`] fail on command.
///
/// The faults are put between the inbox and its database, which is a real one.
///
/// # Example: a store that fails is answered 503
///
/// ```
/// use std::time::SystemTime;
///
/// use http::{Request, StatusCode};
/// use tower::ServiceExt;
/// use tower_pyannote::{event::Delivery, testing::EventBuilder};
/// use tower_pyannote_inbox::{Inbox, StoreFault, StoreFaults};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("inbox.sqlite");
/// let (inbox, faults) = StoreFaults::under(&Inbox::sqlite(path).await?);
/// let event = EventBuilder::diarization().build_event(Delivery::at(SystemTime::now()))?;
///
/// faults.begin(StoreFault::Fails);
/// let mut request = Request::new(());
/// request.extensions_mut().insert(event.clone());
/// let response = inbox.service().oneshot(request).await?;
/// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
///
/// faults.end();
/// inbox.commit(&event).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoreFaults {
    state: Arc<State>,
}

/// A fault of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreFault {
    /// Every call fails at once and has no effect.
    Fails,
    /// No call is answered or has an effect, as on a dead connection. Calls that began during the fault are never answered.
    Hangs,
    /// Every call has its effect and then fails, as if the answer was lost.
    LosesAnswers,
}

#[derive(Debug, Default)]
struct State {
    fault: Mutex<Option<StoreFault>>,
    met: AtomicU64,
}

impl StoreFaults {
    /// Returns an inbox over the same database, and the switch for its faults. There is no fault at first.
    ///
    /// # Panics
    ///
    /// Panics outside of tokio, as an inbox does.
    #[must_use]
    pub fn under(inbox: &Inbox) -> (Inbox, Self) {
        let state = Arc::<State>::default();
        let store = FaultyStore {
            store: inbox.store(),
            state: Arc::clone(&state),
            gate: None,
        };
        (Inbox::over(Arc::new(store), COMMIT_MEMORY), Self { state })
    }

    /// Returns an inbox over the same database whose calls wait at a gate, for a test that decides when each of them goes on.
    #[doc(hidden)]
    #[must_use]
    pub fn gated(inbox: &Inbox, gate: Arc<dyn StoreGate>) -> Inbox {
        let store = FaultyStore {
            store: inbox.store(),
            state: Arc::default(),
            gate: Some(gate),
        };
        Inbox::over(Arc::new(store), COMMIT_MEMORY)
    }

    /// Begins a fault, for all calls from now on.
    pub fn begin(&self, fault: StoreFault) {
        self.state.set(Some(fault));
    }

    /// Ends the fault.
    pub fn end(&self) {
        self.state.set(None);
    }

    /// Returns the number of calls that met a fault.
    #[must_use]
    pub fn met(&self) -> u64 {
        self.state.met.load(Ordering::SeqCst)
    }
}

impl State {
    fn set(&self, fault: Option<StoreFault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Counts the call before the fault has its effect.
    fn meet(&self) -> Option<StoreFault> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        if fault.is_some() {
            self.met.fetch_add(1, Ordering::SeqCst);
        }
        fault
    }
}

struct FaultyStore {
    store: Arc<dyn Store>,
    state: Arc<State>,
    gate: Option<Arc<dyn StoreGate>>,
}

impl FaultyStore {
    fn through<'a, T: Send + 'a>(
        &'a self,
        call: impl Into<StoreCall>,
        work: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        let call = call.into();
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                return gated(&**gate, &call, work).await;
            }
            match self.state.meet() {
                None => work.await,
                Some(StoreFault::Fails) => Err(commanded()),
                Some(StoreFault::Hangs) => pending().await,
                Some(StoreFault::LosesAnswers) => {
                    work.await?;
                    Err(commanded())
                }
            }
        })
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore").finish_non_exhaustive()
    }
}

impl Store for FaultyStore {
    fn grouping(&self) -> Grouping {
        self.store.grouping()
    }

    fn transact<'a>(&'a self, batch: &'a Batch) -> StoreFuture<'a, Done> {
        self.through(StoreCall::transact(batch), self.store.transact(batch))
    }

    fn import<'a>(&'a self, import: &'a Import) -> StoreFuture<'a, Commit> {
        self.through("import", self.store.import(import))
    }

    fn probe(&self) -> StoreFuture<'_, ()> {
        self.through("probe", self.store.probe())
    }

    fn keep_alive<'a>(&'a self, worker: &'a str, lease: Duration) -> StoreFuture<'a, u64> {
        self.through("keep_alive", self.store.keep_alive(worker, lease))
    }

    fn release<'a>(&'a self, worker: &'a str, held: &'a HashSet<i64>) -> StoreFuture<'a, u64> {
        self.through(StoreCall::release(held), self.store.release(worker, held))
    }

    fn stats(&self) -> StoreFuture<'_, InboxStats> {
        self.through("stats", self.store.stats())
    }

    fn list<'a>(&'a self, filter: &'a InboxFilter) -> StoreFuture<'a, Vec<InboxEntry>> {
        self.through("list", self.store.list(filter))
    }

    fn details(&self, id: i64) -> StoreFuture<'_, Option<InboxDetails>> {
        self.through("details", self.store.details(id))
    }

    fn arrivals(&self, since: i64, span: i64) -> StoreFuture<'_, Vec<(i64, i64)>> {
        self.through("arrivals", self.store.arrivals(since, span))
    }

    fn mark_handled<'a>(&'a self, id: i64, reason: &'a str) -> StoreFuture<'a, bool> {
        self.through("mark_handled", self.store.mark_handled(id, reason))
    }

    fn event(&self, id: i64) -> StoreFuture<'_, Option<Stored>> {
        self.through("event", self.store.event(id))
    }

    fn replay(&self, id: i64, replay: Replay) -> StoreFuture<'_, bool> {
        self.through("replay", self.store.replay(id, replay))
    }

    fn prune(&self, before: i64) -> StoreFuture<'_, u64> {
        self.through("prune", self.store.prune(before))
    }
}

#[cfg(feature = "reconcile")]
impl SubmissionStore for FaultyStore {
    fn record<'a>(
        &'a self,
        submission: &'a Submission,
        intent_id: Option<&'a str>,
    ) -> StoreFuture<'a, ()> {
        self.through("record", self.store.record(submission, intent_id))
    }

    fn open_intent<'a>(&'a self, intent: &'a NewIntent) -> StoreFuture<'a, ()> {
        self.through("open_intent", self.store.open_intent(intent))
    }

    fn close_intent<'a>(&'a self, id: &'a str, may_exist: bool) -> StoreFuture<'a, ()> {
        self.through("close_intent", self.store.close_intent(id, may_exist))
    }

    fn unanswered(&self) -> StoreFuture<'_, Vec<UnansweredSubmission>> {
        self.through("unanswered", self.store.unanswered())
    }

    fn answer<'a>(&'a self, id: &'a str, job_id: &'a Text) -> StoreFuture<'a, bool> {
        self.through("answer", self.store.answer(id, job_id))
    }

    fn recorded<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>> {
        self.through("recorded", self.store.recorded(job_ids))
    }

    fn awaited(&self) -> StoreFuture<'_, Vec<Submission>> {
        self.through("awaited", self.store.awaited())
    }

    fn settled<'a>(&'a self, job_ids: &'a [Text]) -> StoreFuture<'a, Vec<bool>> {
        self.through("settled", self.store.settled(job_ids))
    }

    fn lease<'a>(
        &'a self,
        name: &'a str,
        holder: &'a str,
        duration: Duration,
    ) -> StoreFuture<'a, bool> {
        self.through("lease", self.store.lease(name, holder, duration))
    }

    fn give_up<'a>(&'a self, submission: &'a Submission) -> StoreFuture<'a, ()> {
        self.through("give_up", self.store.give_up(submission))
    }
}
