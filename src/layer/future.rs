use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::VerifiedBody;
use super::parse::Parse;
use super::receive::Receive;
use super::rejection::{Rejection, ResponseForRejection};
use super::reservation::Reservation;
use super::telemetry::{self, DeliverySpan};
use crate::clock::Clock;
use crate::event::Delivery;

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
        inner_call: Option<InnerCall<S>>,
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
        Receiving { #[pin] receive: Receive<B, C> },
        Parsing { parse: Parse, reservation: Reservation },
        Calling { #[pin] call: S::Future, span: DeliverySpan, _reservation: Reservation },
    }
}

impl<S, B, C, R> ResponseFuture<S, B, C, R>
where
    S: Service<Request<VerifiedBody>>,
    B: Body,
    C: Clock,
{
    pub(super) fn receive(
        receive: Receive<B, C>,
        inner_call: InnerCall<S>,
        rejection_response: R,
    ) -> Self {
        Self {
            state: State::Receiving { receive },
            inner_call: Some(inner_call),
            rejection_response,
        }
    }

    pub(super) fn refuse(rejection: Rejection, rejection_response: R) -> Self {
        Self {
            state: State::Refused { rejection },
            inner_call: None,
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
                StateProj::Receiving { receive } => match ready!(receive.poll(cx)) {
                    Ok(received) => State::Parsing {
                        parse: Parse::new(received.bytes, received.verified),
                        reservation: received.reservation,
                    },
                    Err(rejection) => State::Refused { rejection },
                },
                StateProj::Parsing { parse, reservation } => {
                    ready!(parse.poll(cx));
                    let inner_call = this.inner_call.take().expect(CALLED_ONCE);
                    inner_call.start(parse, mem::take(reservation))
                }
                StateProj::Calling { call, span, .. } => return span.in_scope(|| call.poll(cx)),
                StateProj::Refused { rejection } => {
                    // Release the inner service before the response is built.
                    *this.inner_call = None;
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

/// The call of the inner service, made after the body was parsed.
pub(super) struct InnerCall<S> {
    ready: S,
    parts: Parts,
    delivery: Delivery,
}

impl<S> InnerCall<S>
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

    /// Calls the inner service with the event of a parsed body, or refuses a body that is not an event.
    fn start<B: Body, C: Clock>(
        self,
        parse: &mut Parse,
        reservation: Reservation,
    ) -> State<S, B, C> {
        let Self {
            mut ready,
            mut parts,
            delivery,
        } = self;
        let event = match parse.finish(delivery) {
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
            _reservation: reservation,
        }
    }
}

const CALLED_ONCE: &str = "the inner service is called once";
