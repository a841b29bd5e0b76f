//! Signed requests for a tower service, and request bodies that a test controls frame by frame.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;
use tower_pyannote::{SigningKey, WebhookSecret, clock::ManualClock, testing::SignedRequest};

/// The secret of the tests.
pub const SECRET: &str = "whs_00112233445566778899aabbccddeeff";
/// A minimal event.
pub const EVENT: &[u8] = br#"{"jobId":"job-1","status":"succeeded"}"#;

/// 2026-01-01T00:00:00Z, as `X-Request-Timestamp` has it.
pub const SIGNED_AT: &str = "1767225600";

/// Returns the time at which requests are signed: [`SIGNED_AT`].
pub fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

/// Returns a clock that stands at [`now`].
pub fn clock() -> ManualClock {
    ManualClock::new(now())
}

/// Returns [`SECRET`].
pub fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

/// Signs a body with [`SECRET`] at [`SIGNED_AT`].
pub fn sign(body: &[u8]) -> String {
    SigningKey::new(&secret()).sign(SIGNED_AT, body).to_hex()
}

/// Returns a request with a body, and with the signature of `signed`.
pub fn request<B>(signed: &[u8], body: B) -> Request<B> {
    SignedRequest::new(&secret(), signed.to_vec())
        .with_signed_at(now())
        .to_request_with(body)
}

/// Returns an event of exactly `length` bytes.
pub fn event_of(length: usize) -> Bytes {
    let head = r#"{"jobId":"job-1","status":"succeeded","padding":""#;
    let tail = r#""}"#;
    let padding = "x".repeat(length - head.len() - tail.len());
    Bytes::from(format!("{head}{padding}{tail}"))
}

/// What a [`Script`] does at one poll.
pub enum Step {
    /// Yields a frame of data.
    Data(Bytes),
    /// Yields nothing yet, and wakes the task.
    Pending,
    /// Yields empty trailers.
    Trailers,
    /// Yields an error.
    Fail,
    /// Panics.
    Panic,
}

/// A body that takes one step at each poll, and then ends.
pub struct Script {
    steps: VecDeque<Step>,
    hint: SizeHint,
    /// How often the body was polled.
    pub polls: usize,
}

impl Script {
    /// Creates a body from steps.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
            hint: SizeHint::default(),
            polls: 0,
        }
    }

    /// Creates a body from frames of data.
    pub fn frames<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Self {
        Self::new(
            frames
                .into_iter()
                .map(|frame| Step::Data(Bytes::copy_from_slice(frame))),
        )
    }

    /// Creates a body that panics when it is read.
    pub fn unread() -> Self {
        Self::new([Step::Panic])
    }

    /// Announces the length of the body.
    pub fn announcing(mut self, length: u64) -> Self {
        self.hint = SizeHint::with_exact(length);
        self
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.polls += 1;
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Step::Trailers) => Poll::Ready(Some(Ok(Frame::trailers(HeaderMap::new())))),
            Some(Step::Fail) => Poll::Ready(Some(Err("the connection was reset"))),
            Some(Step::Panic) => panic!("a byte of the body was read"),
            Some(Step::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

/// A body that yields the data of a channel, and ends when the sender is dropped.
pub struct Channel {
    pieces: mpsc::UnboundedReceiver<Bytes>,
    hint: SizeHint,
}

impl Channel {
    /// Creates a channel, and the body at its end.
    pub fn new() -> (mpsc::UnboundedSender<Bytes>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let body = Self {
            pieces: receiver,
            hint: SizeHint::default(),
        };
        (sender, body)
    }

    /// Announces the length of the body.
    pub fn announcing(mut self, length: u64) -> Self {
        self.hint = SizeHint::with_exact(length);
        self
    }
}

impl Body for Channel {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.pieces
            .poll_recv(cx)
            .map(|data| data.map(|data| Ok(Frame::data(data))))
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
