//! How many connections there may be, and which has to go when there are too many.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{self, Instant},
};

/// The connections that are open.
///
/// Anyone can open one and leave it, or let a body trickle into it. So when there are as many as there may be, a new one
/// takes the place of the slowest of those that have had some time, or, if there are none, of the oldest. One that has only
/// just come keeps its place, and so does one whose request has come whole and waits for its answer.
pub(crate) struct Connections {
    slots: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Open>>,
}

struct Open {
    progress: Arc<Progress>,
    task: AbortHandle,
    slot: OwnedSemaphorePermit,
}

impl Connections {
    pub(crate) fn new() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            open: Mutex::default(),
        }
    }

    /// A place for one more connection.
    pub(crate) async fn slot(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return slot;
            }
            // At once, lest those who come in good faith queue up behind those who do not.
            if let Some(slot) = self.drop_slowest() {
                return slot;
            }
            // All have only just come, or wait for their answers.
            let slot = Arc::clone(&self.slots).acquire_owned();
            if let Ok(Ok(slot)) = time::timeout(SOON, slot).await {
                return slot;
            }
        }
    }

    /// Serves a connection by a task of its own, for as long as it is not the slowest of too many.
    pub(crate) fn spawn<F>(
        self: &Arc<Self>,
        slot: OwnedSemaphorePermit,
        serve: impl FnOnce(Arc<Progress>) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        static NUMBER: AtomicU64 = AtomicU64::new(0);

        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let progress = Arc::new(Progress::new());
        let served = serve(Arc::clone(&progress));
        let leave = Leave {
            connections: Arc::clone(self),
            number,
        };
        // Locked until it is in the list, lest it end before.
        let mut open = self.list();
        let task = tokio::spawn(async move {
            served.await;
            drop(leave);
        });
        let task = task.abort_handle();
        let connection = Open {
            progress,
            task,
            slot,
        };
        open.insert(number, connection);
    }

    pub(crate) fn count(&self) -> usize {
        MAX_CONNECTIONS - self.slots.available_permits()
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(MAX_CONNECTIONS).expect("a few hundred");
        let _ = self.slots.acquire_many(all).await;
    }

    /// Makes a place of the slowest one's.
    fn drop_slowest(&self) -> Option<OwnedSemaphorePermit> {
        let now = Instant::now();
        let mut open = self.list();
        let (_, slowest) = open
            .iter()
            .filter_map(|(number, open)| Some((open.progress.rank(now)?, *number)))
            .min()?;
        let slowest = open.remove(&slowest)?;
        drop(open);
        tracing::debug!("connection dropped, as the slowest of too many");
        slowest.task.abort();
        Some(slowest.slot)
    }

    fn list(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a connection off the list, however it ends.
struct Leave {
    connections: Arc<Connections>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.connections.list().remove(&self.number);
    }
}

/// How far a connection's present request has come.
pub(crate) struct Progress(Mutex<State>);

enum State {
    /// Nobody has looked yet what has come.
    Unread,
    /// The request is on its way, or the connection has none.
    Coming { since: Instant, bytes: u64 },
    /// It has come whole and waits for its answer.
    Come,
}

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(State::Unread))
    }

    /// Notes that what came by now was read.
    pub(crate) fn read(&self) {
        let mut state = self.state();
        if matches!(*state, State::Unread) {
            *state = State::start();
        }
    }

    /// Begins anew, as a request was answered.
    pub(crate) fn answered(&self) {
        *self.state() = State::start();
    }

    /// Watches a body come.
    pub(crate) fn watch(self: &Arc<Self>, body: Incoming) -> Watched {
        let progress = Arc::clone(self);
        if body.is_end_stream() {
            progress.come();
        }
        Watched { body, progress }
    }

    fn receive(&self, more: u64) {
        if let State::Coming { bytes, .. } = &mut *self.state() {
            *bytes += more;
        }
    }

    fn come(&self) {
        *self.state() = State::Come;
    }

    /// The lowest has to go first; `None` if it may stay.
    fn rank(&self, now: Instant) -> Option<Rank> {
        match &*self.state() {
            State::Coming { since, .. } if now - *since < A_MOMENT => None,
            State::Coming { since, .. } if now - *since < SOME_TIME => Some(Rank::New(*since)),
            State::Coming { since, bytes } => {
                let milliseconds = (now - *since).as_millis();
                Some(Rank::Rate(u128::from(*bytes) * 1_000 / milliseconds))
            }
            State::Unread | State::Come => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Bytes a second so far.
    Rate(u128),
    /// Begun only then.
    New(Instant),
}

impl State {
    fn start() -> Self {
        Self::Coming {
            since: Instant::now(),
            bytes: 0,
        }
    }
}

/// A body whose progress is watched.
pub(crate) struct Watched {
    body: Incoming,
    progress: Arc<Progress>,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.progress
                    .receive(u64::try_from(bytes).unwrap_or(u64::MAX));
            }
            Poll::Ready(None) => self.progress.come(),
            Poll::Ready(Some(Err(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Each takes up to [`BESIDE_BUDGET`](crate::app::BESIDE_BUDGET), which the byte budget leaves room for.
pub(crate) const MAX_CONNECTIONS: usize = 192;

const SOON: Duration = Duration::from_millis(10);

/// For a head to come, from however far.
const A_MOMENT: Duration = Duration::from_millis(100);

/// For a small delivery to come, or for a large one to show how fast it is.
const SOME_TIME: Duration = Duration::from_secs(2);
