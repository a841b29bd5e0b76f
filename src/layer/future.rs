use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tower_service::Service;

use super::body::VerifiedBody;
use super::receive::{Hold, Receive, Received};
use super::rejection::{Rejection, ResponseForRejection};
use crate::clock::Clock;
use crate::event::{Delivery, EventError, WebhookEvent};
use crate::offload;
use crate::telemetry::{self, DeliverySpan};

pin_project! {
    /// The future of [`VerifySignature`](super::VerifySignature).
    pub struct ResponseFuture<S, B, C, R>
    where
        S: Service<Request<VerifiedBody>>,
        B: Body,
        C: Clock,
    {
        #[pin]
        state: State<S, B, C>,
        rejection_response: R,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, B, C>
    where
        S: Service<Request<VerifiedBody>>,
        B: Body,
        C: Clock,
    {
        Refused { rejection: Rejection },
        Receiving { #[pin] receive: Receive<B, C>, next: Option<Next<S>> },
        Scanning { scan: JoinHandle<(Result<WebhookEvent, EventError>, Hold)>, next: Option<Next<S>> },
        Calling { #[pin] call: S::Future, span: DeliverySpan, _hold: Hold },
    }
}

impl<S, B, C, R> ResponseFuture<S, B, C, R>
where
    S: Service<Request<VerifiedBody>>,
    B: Body,
    C: Clock,
{
    pub(super) fn receive(receive: Receive<B, C>, next: Next<S>, rejection_response: R) -> Self {
        let next = Some(next);
        Self {
            state: State::Receiving { receive, next },
            rejection_response,
        }
    }

    pub(super) fn refuse(rejection: Rejection, rejection_response: R) -> Self {
        Self {
            state: State::Refused { rejection },
            rejection_response,
        }
    }
}

impl<S, B, C, R, ResBody> Future for ResponseFuture<S, B, C, R>
where
    S: Service<Request<VerifiedBody>, Response = Response<ResBody>>,
    B: Body,
    C: Clock,
    R: ResponseForRejection<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let state = match this.state.as_mut().project() {
                StateProj::Receiving { receive, next } => {
                    let received = ready!(receive.poll(cx));
                    let next = next.take().expect(ONCE);
                    match received {
                        Ok(received) => next.scan(received),
                        Err(rejection) => State::Refused { rejection },
                    }
                }
                StateProj::Scanning { scan, next } => {
                    let scanned = ready!(Pin::new(scan).poll(cx));
                    let next = next.take().expect(ONCE);
                    match scanned {
                        Ok((event, hold)) => next.call(event, hold),
                        // The runtime is shutting down; the sender will come again.
                        Err(_) => State::Refused {
                            rejection: Rejection::Overloaded,
                        },
                    }
                }
                StateProj::Calling { call, span, .. } => return span.in_scope(|| call.poll(cx)),
                StateProj::Refused { rejection } => {
                    telemetry::rejected(*rejection);
                    let mut response = this.rejection_response.response_for_rejection(*rejection);
                    response.extensions_mut().insert(*rejection);
                    return Poll::Ready(Ok(response));
                }
            };
            this.state.set(state);
        }
    }
}

impl<S, B, C, R> fmt::Debug for ResponseFuture<S, B, C, R>
where
    S: Service<Request<VerifiedBody>>,
    B: Body,
    C: Clock,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// What is to happen to a request once its body is verified.
pub(super) struct Next<S> {
    ready: S,
    parts: Parts,
    delivery: Delivery,
}

impl<S> Next<S>
where
    S: Service<Request<VerifiedBody>>,
{
    pub(super) fn new(ready: S, parts: Parts, delivery: Delivery) -> Self {
        Self {
            ready,
            parts,
            delivery,
        }
    }

    /// Makes an event of the body: here, or, for one that would keep other tasks off the thread, on Tokio's blocking pool.
    fn scan<B: Body, C: Clock>(self, received: Received) -> State<S, B, C> {
        telemetry::verified(received.verified, received.bytes.len(), received.stopwatch);
        let delivery = self.delivery.clone();
        let delivery = delivery.with_timestamp(received.verified.timestamp());
        let Received {
            bytes, scan, hold, ..
        } = received;
        let unscanned = bytes.len() - scan.as_ref().map_or(0, |scan| scan.scanned());
        let event = move || WebhookEvent::scanned(bytes, delivery, scan.map(|scan| *scan));
        match offload::pool_for(unscanned) {
            // The hold goes along: should the sender leave, the body lives for as long as its scan.
            Some(pool) => State::Scanning {
                scan: pool.spawn_blocking(move || (event(), hold)),
                next: Some(self),
            },
            None => self.call(event(), hold),
        }
    }

    fn call<B: Body, C: Clock>(
        self,
        event: Result<WebhookEvent, EventError>,
        hold: Hold,
    ) -> State<S, B, C> {
        let Self {
            mut ready,
            mut parts,
            ..
        } = self;
        let event = match event {
            Ok(event) => event,
            Err(error) => {
                return State::Refused {
                    rejection: Rejection::Malformed(error),
                };
            }
        };
        telemetry::accepted(&event);
        let span = DeliverySpan::new(&event);
        let body = VerifiedBody::new(event.raw().clone());
        parts.extensions.insert(event);
        let call = span.in_scope(|| ready.call(Request::from_parts(parts, body)));
        State::Calling {
            call,
            span,
            _hold: hold,
        }
    }
}

const ONCE: &str = "the request is handed on once";
