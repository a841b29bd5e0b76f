use std::{
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    builder::COMMIT_MEMORY,
    database::{Call, StoreFuture},
    gate::{StoreGate, commanded, gated},
    inbox::Inbox,
};

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
        let faults = Faults {
            state: Arc::clone(&state),
            gate: None,
        };
        let database = inbox.database.with_faults(faults);
        (Inbox::over(database, COMMIT_MEMORY), Self { state })
    }

    /// Returns an inbox over the same database whose calls wait at a gate, for a test that decides when each of them goes on.
    #[doc(hidden)]
    #[must_use]
    pub fn gated(inbox: &Inbox, gate: Arc<dyn StoreGate>) -> Inbox {
        let faults = Faults {
            state: Arc::default(),
            gate: Some(gate),
        };
        Inbox::over(inbox.database.with_faults(faults), COMMIT_MEMORY)
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

/// The faults of the calls to a store.
#[derive(Clone, Default)]
pub(crate) struct Faults {
    state: Arc<State>,
    gate: Option<Arc<dyn StoreGate>>,
}

impl Faults {
    pub(crate) fn through<'a, T: Send + 'a>(
        &'a self,
        call: Call<'a>,
        work: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            if let Some(gate) = &self.gate {
                return gated(&**gate, &call.into(), work).await;
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
