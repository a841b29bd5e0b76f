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
/// takes the place of the slowest; one whose request has come whole, and waits for its answer, keeps its place.
pub(crate) struct Connections {
    slots: Arc<Semaphore>,
    open: Mutex<BTreeMap<u64, Open>>,
}

struct Open {
    progress: Arc<Progress>,
    task: AbortHandle,
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
            let slot = Arc::clone(&self.slots).acquire_owned();
            if self.slots.available_permits() == 0 {
                self.drop_slowest();
            }
            // Should all wait for their answers, one of them soon has it.
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
        let connections = Arc::clone(self);
        // Locked until it is in the list, lest it end before.
        let mut open = self.open();
        let task = tokio::spawn(async move {
            served.await;
            connections.open().remove(&number);
            drop(slot);
        });
        let task = task.abort_handle();
        open.insert(number, Open { progress, task });
    }

    pub(crate) fn count(&self) -> usize {
        MAX_CONNECTIONS - self.slots.available_permits()
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(MAX_CONNECTIONS).expect("a few hundred");
        let _ = self.slots.acquire_many(all).await;
    }

    fn drop_slowest(&self) {
        let now = Instant::now();
        let mut open = self.open();
        let slowest = open
            .iter()
            .filter_map(|(number, open)| Some((open.progress.rate(now)?, *number)))
            .min();
        if let Some(slowest) = slowest.and_then(|(_, number)| open.remove(&number)) {
            tracing::debug!("connection dropped, as the slowest of too many");
            slowest.task.abort();
        }
    }

    fn open(&self) -> MutexGuard<'_, BTreeMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a connection's present request has come.
pub(crate) struct Progress(Mutex<State>);

enum State {
    /// The request is on its way, or the connection has none.
    Coming { since: Instant, bytes: u64 },
    /// It has come whole and waits for its answer.
    Come,
}

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(State::start()))
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

    /// Bytes a second so far; `None` if they have all come.
    ///
    /// At first a connection gets some credit, or one that has just been opened would be the slowest.
    fn rate(&self, now: Instant) -> Option<u64> {
        match &*self.state() {
            State::Coming { since, bytes } => {
                let milliseconds = (now - *since).as_millis() + 1_000;
                let rate = u128::from(*bytes + CREDIT) * 1_000_000 / milliseconds;
                Some(u64::try_from(rate).unwrap_or(u64::MAX))
            }
            State::Come => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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

/// Half of the 1024 files that a process may commonly open; the others are for what is being kept.
const MAX_CONNECTIONS: usize = 512;

const SOON: Duration = Duration::from_millis(50);

/// What the layer lets a body have in any case.
const CREDIT: u64 = 64 << 10;
