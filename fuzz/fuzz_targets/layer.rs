//! The layer accepts exactly the requests that an oracle accepts, with any headers and a body in any frames, and judges the
//! frames like the whole.
#![no_main]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_pyannote::{
    PyannoteSignatureLayer, WebhookEvent,
    clock::ManualClock,
    event::Delivery,
    layer::{Rejection, VerifiedBody},
    verify::VerifyError,
};
use tower_pyannote_fuzz::{SECRETS, accepts, digest, hex, now, secrets};
use tower_service::Service;

const LIMIT: usize = 200;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    post: bool,
    timestamps: Vec<&'a [u8]>,
    fresh: bool,
    signatures: Vec<&'a [u8]>,
    signed: bool,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
    names_job: bool,
    cuts: Vec<u8>,
    pauses: Vec<bool>,
    announced: Option<u64>,
    breaks: bool,
}

/// A body in frames, some of which are pending once.
struct Pieces {
    pieces: Vec<Bytes>,
    pauses: Vec<bool>,
    announced: Option<u64>,
    breaks: bool,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = ();

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ()>>> {
        if self.pauses.pop() == Some(true) {
            return Poll::Pending;
        }
        if let Some(piece) = self.pieces.pop() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        Poll::Ready(std::mem::take(&mut self.breaks).then_some(Err(())))
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map(SizeHint::with_exact).unwrap_or_default()
    }
}

#[derive(Clone)]
struct Inner;

impl Service<Request<VerifiedBody>> for Inner {
    type Response = Response<Option<WebhookEvent>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<VerifiedBody>) -> Self::Future {
        let event = request.extensions().get::<WebhookEvent>().cloned();
        assert!(event.is_some(), "the inner service gets the event");
        ready(Ok(Response::new(event)))
    }
}

fuzz_target!(|input: Input<'_>| {
    let mut body = input.body.to_vec();
    if input.names_job {
        body = br#"{"jobId":"j","status":"succeeded","x":"#.to_vec();
        body.extend(input.body);
        body.push(b'}');
    }
    let fresh = b"1767225600";
    let mut timestamps = input.timestamps;
    if input.fresh {
        timestamps.insert(0, fresh);
    }
    let signature = hex(&digest(
        SECRETS[input.body.len() % 2],
        timestamps.first().unwrap_or(&&fresh[..]),
        &body,
    ));
    let mut signatures = input.signatures;
    if input.signed {
        signatures.insert(0, signature.as_bytes());
    }

    let mut cuts: Vec<usize> = input
        .cuts
        .iter()
        .map(|&cut| usize::from(cut).min(body.len()))
        .collect();
    cuts.extend([0, body.len()]);
    cuts.sort_unstable();
    let pieces: Vec<Bytes> = cuts
        .windows(2)
        .map(|pair| Bytes::copy_from_slice(&body[pair[0]..pair[1]]))
        .collect();

    let mut headers = HeaderMap::new();
    for (name, value) in input.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) else {
            continue;
        };
        if !["x-request-timestamp", "x-signature", "content-length"].contains(&name.as_str()) {
            headers.append(name, value);
        }
    }
    let mut sent = |name: &'static str, values: &[&[u8]]| {
        for value in values {
            // A server never passes on an invalid header value.
            let Ok(value) = HeaderValue::from_bytes(value) else {
                return false;
            };
            headers.append(name, value);
        }
        true
    };
    if !sent("x-request-timestamp", &timestamps) || !sent("x-signature", &signatures) {
        return;
    }
    let answer = |mut pieces: Vec<Bytes>, pauses: Vec<bool>| {
        pieces.reverse();
        let mut request = Request::new(Pieces {
            pieces,
            pauses,
            announced: input.announced,
            breaks: input.breaks,
        });
        if input.post {
            *request.method_mut() = Method::POST;
        }
        *request.headers_mut() = headers.clone();
        answer(request)
    };

    let announced = input
        .announced
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    let read = WebhookEvent::new(body.clone().into(), Delivery::at(now())).ok();
    let accepted = input.post
        && accepts(&timestamps, &signatures, &body)
        && !input.breaks
        && body.len().max(announced) <= LIMIT
        && read.is_some();

    let response = answer(pieces, input.pauses);
    let rejection = response.extensions().get::<Rejection>().copied();
    assert_eq!(rejection.is_none(), accepted, "{rejection:?}");
    let whole = answer(vec![body.clone().into()], Vec::new());
    let judged = whole.extensions().get::<Rejection>().copied();
    assert_eq!(rejection, judged, "frames are judged like the whole");
    match (rejection, response.body()) {
        (None, Some(event)) => {
            assert_eq!(event.raw(), &body);
            assert_eq!(Some(content(event)), read.as_ref().map(content));
        }
        (Some(rejection), None) => {
            assert_eq!(response.status(), rejection.status());
            assert!(response.status().is_client_error());
            let mismatch = rejection == Rejection::Unverified(VerifyError::SignatureMismatch);
            assert!(!(mismatch && accepts(&timestamps, &signatures, &body)));
        }
        (rejection, event) => panic!("{rejection:?} with {event:?}"),
    }
});

/// Returns all that an event holds of its body.
fn content(event: &WebhookEvent) -> String {
    let (error, warning) = (event.error(), event.warning());
    let times = (event.created_at(), event.updated_at());
    let (job, status, kind) = (event.job_id(), event.status(), event.kind());
    format!(
        "{job:?} {status} {kind:?} {error:?} {warning:?} {times:?} {:?}",
        event.output()
    )
}

fn answer(request: Request<Pieces>) -> Response<Option<WebhookEvent>> {
    let layer = PyannoteSignatureLayer::new(secrets())
        .with_clock(ManualClock::new(now()))
        .with_body_limit(LIMIT)
        .expect("the limit is within the budget");
    let mut response = pin!(layer.layer(Inner).call(request));
    loop {
        let polled = response
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if let Poll::Ready(response) = polled {
            return response.expect("the inner service does not fail");
        }
    }
}
