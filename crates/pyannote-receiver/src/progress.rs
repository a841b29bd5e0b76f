//! How far the request of a connection has arrived.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::{Method, Request, body::Incoming};
use tokio::time::Instant;

use crate::endpoints::WEBHOOK;

/// The progress of a connection's current request.
pub(crate) struct Progress(Mutex<State>);

enum State {
    /// The server has not read from the connection yet.
    Unread,
    /// No complete head has arrived.
    Head { since: Instant },
    /// The body of a delivery is arriving.
    Body { since: Instant, bytes: u64 },
    /// A complete delivery waits for its commit.
    Delivered,
    /// Another request waits for its response.
    Page { since: Instant },
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::Unread))
    }

    /// Records that the server has read from the connection.
    pub(crate) fn read(&self) {
        let mut state = self.state();
        if matches!(*state, State::Unread) {
            *state = State::head();
        }
    }

    /// Records a response: the connection waits for the next head.
    pub(crate) fn answered(&self) {
        *self.state() = State::head();
    }

    /// Records a complete head, and watches the body after it.
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

    /// Returns the rank: the connection of the lowest rank is dropped first. Returns `None` if the connection may stay.
    pub(crate) fn rank(&self, now: Instant) -> Option<Rank> {
        let (since, bytes, page) = match *self.state() {
            State::Head { since } => (since, 0, false),
            State::Body { since, bytes } => (since, bytes, false),
            State::Page { since } => (since, 0, true),
            State::Unread | State::Delivered => return None,
        };
        let milliseconds = (now - since).max(MIN_TIME).as_millis();
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

/// Ranks are compared field by field, in this order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    pub(crate) bytes_a_second: u128,
    page: bool,
    pub(crate) since: Instant,
}

impl State {
    fn head() -> Self {
        Self::Head {
            since: Instant::now(),
        }
    }
}

/// A body whose progress is recorded.
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

/// The shortest time over which a rate is computed.
const MIN_TIME: Duration = Duration::from_millis(100);
