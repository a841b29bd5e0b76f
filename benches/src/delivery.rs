//! A delivery through the layer without a network.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};
use tower_pyannote::{
    PyannoteSignatureLayer, SigningKey, WebhookSecret,
    clock::ManualClock,
    layer::{VerifiedBody, VerifySignature},
};

use crate::{SECRET, TIMESTAMP, then};

/// The layer around a service that responds at once.
pub type Receiver = VerifySignature<Answer, ManualClock>;

pub fn receiver() -> Receiver {
    let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
    let layer = PyannoteSignatureLayer::new(secret).with_clock(ManualClock::new(then()));
    layer.layer(Answer)
}

/// A signed request, in frames of at most `frame` bytes.
#[derive(Clone)]
pub struct Sent {
    pub head: HeaderMap,
    pub body: Bytes,
    pub frame: usize,
}

impl Sent {
    /// Signs a body, and sends it in one frame.
    pub fn new(body: Bytes) -> Self {
        let secret = WebhookSecret::new(SECRET).expect("the secret is valid");
        let signature = SigningKey::new(&secret).sign(TIMESTAMP, &body).to_hex();
        let mut head = HeaderMap::new();
        let values = [
            ("host", "localhost:8000"),
            ("content-type", "application/json"),
            ("content-length", &body.len().to_string()),
            ("x-request-timestamp", TIMESTAMP),
            ("x-signature", &signature),
            ("accept", "*/*"),
        ];
        for (name, value) in values {
            head.insert(name, HeaderValue::from_str(value).expect("it is ASCII"));
        }
        let frame = body.len();
        Self { head, body, frame }
    }

    pub fn in_frames(mut self, frame: usize) -> Self {
        self.frame = frame;
        self
    }

    /// Sets or removes a header.
    pub fn with(mut self, name: &'static str, value: Option<&'static str>) -> Self {
        match value {
            Some(value) => self.head.insert(name, HeaderValue::from_static(value)),
            None => self.head.remove(name),
        };
        self
    }

    pub fn request(&self) -> Request<Pieces> {
        let (rest, frame) = (self.body.clone(), self.frame.max(1));
        let mut request = Request::new(Pieces { rest, frame });
        *request.method_mut() = Method::POST;
        *request.headers_mut() = self.head.clone();
        request
    }
}

/// Sends a request whose body is always ready, and returns the response.
pub fn answer(receiver: &mut Receiver, request: Request<Pieces>) -> Response<String> {
    let mut response = pin!(receiver.call(request));
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(response) = response.as_mut().poll(&mut cx) {
            return response.expect("the service does not fail");
        }
    }
}

/// A body whose frames are all ready.
pub struct Pieces {
    rest: Bytes,
    frame: usize,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let frame = self.frame.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(frame)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A service that responds 200.
#[derive(Clone)]
pub struct Answer;

impl Service<Request<VerifiedBody>> for Answer {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<VerifiedBody>) -> Self::Future {
        ready(Ok(Response::new(String::new())))
    }
}
