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
use hyper::{Method, Request, body::Incoming};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::AbortHandle,
    time::{self, Instant},
};

use crate::app::WEBHOOK;

/// The connections that are open.
///
/// Anyone can open one and leave it, or let a body trickle into it. So when all places are taken, a new connection takes
/// the place of the one that receives the fewest bytes of a body a second. A connection without a whole head receives
/// none, and neither does one that waits for a page. Of those the oldest goes first, and those that wait for a page last.
///
/// A delivery that has arrived whole and waits for its commit keeps its place, and so does a connection in its first
/// moment. But if less than half of the places are left to older connections, a burst of new ones would push out bodies
/// that arrive fast. Then only connections that receive nothing are dropped, and new ones already after a shorter moment.
pub(crate) struct Connections {
    places: usize,
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
        let places = places(descriptors());
        Self {
            places,
            slots: Arc::new(Semaphore::new(places)),
            open: Mutex::default(),
        }
    }

    /// A place for one more connection.
    pub(crate) async fn slot(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                return slot;
            }
            // At once, so that good senders do not queue up behind bad ones.
            if let Some(slot) = self.drop_slowest() {
                return slot;
            }
            // All have only just connected, or wait for their commits.
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
        self.places - self.slots.available_permits()
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        let all = u32::try_from(self.places).expect("a few hundred");
        let _ = self.slots.acquire_many(all).await;
    }

    /// Makes a place by dropping the connection of the lowest rank.
    fn drop_slowest(&self) -> Option<OwnedSemaphorePermit> {
        let now = Instant::now();
        let mut open = self.list();
        let ranks: Vec<(Rank, u64)> = open
            .iter()
            .filter_map(|(number, open)| Some((open.progress.rank(now)?, *number)))
            .collect();
        let settled = ranks
            .iter()
            .filter(|(rank, _)| now - rank.since >= A_MOMENT)
            .count();
        let calm = settled >= self.places / 2;
        let (_, slowest) = ranks
            .into_iter()
            .filter(|(rank, _)| match calm {
                true => now - rank.since >= A_MOMENT,
                false => now - rank.since >= A_BLINK && rank.bytes_a_second == 0,
            })
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

/// How far a connection's present request has arrived.
pub(crate) struct Progress(Mutex<State>);

enum State {
    /// The server has not yet looked at what arrived.
    Unread,
    /// The connection has no whole head since then.
    Head { since: Instant },
    /// The body of a delivery arrives.
    Body { since: Instant, bytes: u64 },
    /// A delivery has arrived whole and waits for its commit.
    Delivered,
    /// Any other request waits for its answer.
    Page { since: Instant },
}

impl Progress {
    fn new() -> Self {
        Self(Mutex::new(State::Unread))
    }

    /// Notes that what has arrived so far was read.
    pub(crate) fn read(&self) {
        let mut state = self.state();
        if matches!(*state, State::Unread) {
            *state = State::head();
        }
    }

    /// Waits for the next head, because a request was answered.
    pub(crate) fn answered(&self) {
        *self.state() = State::head();
    }

    /// Watches a request whose head has arrived.
    pub(crate) fn watch(self: &Arc<Self>, request: Request<Incoming>) -> Request<Watched> {
        let since = Instant::now();
        let delivers = request.method() == Method::POST && request.uri().path() == WEBHOOK;
        *self.state() = match (delivers, request.body().is_end_stream()) {
            (true, true) => State::Delivered,
            (true, false) => State::Body { since, bytes: 0 },
            (false, _) => State::Page { since },
        };
        let progress = Arc::clone(self);
        request.map(|body| Watched { body, progress })
    }

    fn receive(&self, more: u64) {
        if let State::Body { bytes, .. } = &mut *self.state() {
            *bytes += more;
        }
    }

    fn receive_end(&self) {
        let mut state = self.state();
        if matches!(*state, State::Body { .. }) {
            *state = State::Delivered;
        }
    }

    /// The lowest has to go first; `None` if it may stay.
    fn rank(&self, now: Instant) -> Option<Rank> {
        let (since, bytes, page) = match *self.state() {
            State::Head { since } => (since, 0, false),
            State::Body { since, bytes } => (since, bytes, false),
            State::Page { since } => (since, 0, true),
            State::Unread | State::Delivered => return None,
        };
        let milliseconds = (now - since).max(A_MOMENT).as_millis();
        Some(Rank {
            bytes_a_second: u128::from(bytes) * 1_000 / milliseconds,
            page,
            since,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Compared field by field, in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    bytes_a_second: u128,
    page: bool,
    since: Instant,
}

impl State {
    fn head() -> Self {
        Self::Head {
            since: Instant::now(),
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
            Poll::Ready(None) => self.progress.receive_end(),
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

/// How many connections there may be, so that their sockets leave enough of the process's descriptors.
fn places(descriptors: Option<u64>) -> usize {
    let left = descriptors.map_or(usize::MAX, |limit| {
        usize::try_from(limit.saturating_sub(OTHER_DESCRIPTORS)).unwrap_or(usize::MAX)
    });
    let places = left.clamp(MIN_CONNECTIONS, MAX_CONNECTIONS);
    if places < MAX_CONNECTIONS {
        tracing::warn!(
            limit = descriptors,
            places,
            "the limit of open files is low, so fewer than {MAX_CONNECTIONS} connections are served: raise it (ulimit -n)"
        );
    }
    places
}

/// The limit of the process's descriptors; `None` if there is none.
#[cfg(unix)]
fn descriptors() -> Option<u64> {
    use rustix::process::{Resource, getrlimit};

    getrlimit(Resource::Nofile).current
}

#[cfg(not(unix))]
fn descriptors() -> Option<u64> {
    None
}

/// Each takes up to [`BESIDE_BUDGET`](crate::app::BESIDE_BUDGET), which the byte budget leaves room for.
pub(crate) const MAX_CONNECTIONS: usize = 192;

/// Enough for a few deliveries at a time. With a limit that leaves fewer the server would hardly run.
const MIN_CONNECTIONS: usize = 16;

/// For the database, the files of the archive, the requests of the reconciler, and connections that were just dropped.
const OTHER_DESCRIPTORS: u64 = 64;

const SOON: Duration = Duration::from_millis(10);

/// For a head to arrive, from however far, and then for its body to begin.
const A_MOMENT: Duration = Duration::from_millis(100);

/// For a head that follows its handshake at once.
const A_BLINK: Duration = Duration::from_millis(20);
