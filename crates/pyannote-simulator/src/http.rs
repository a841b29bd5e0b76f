use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use reqwest::{Body, Client, StatusCode, Url, header::CONTENT_LENGTH, redirect::Policy};
use tower_pyannote::{clock::Clock, event::RetryReason, testing::SignedRequest};

use crate::{clock::ScaledClock, error::SimulatorError};

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Whole,
    /// A byte a second.
    Trickling(ScaledClock),
    /// The first half, then the connection breaks.
    Cut,
}

/// Builds a client that follows at most two redirects, as pyannoteAI does, and uses no proxy.
pub(crate) fn client() -> Result<Client, SimulatorError> {
    // Fails if the process already has a default provider, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::limited(2))
        .user_agent("pyannoteAI-simulator")
        .build()
        .map_err(|error| SimulatorError::Client {
            error: error.into(),
        })
}

/// Sends a request once, and returns the status of the answer, or why there was none.
pub(crate) async fn send(
    client: &Client,
    url: Url,
    request: &SignedRequest,
    manner: Manner,
) -> Result<StatusCode, RetryReason> {
    let body = request.body().clone();
    let length = body.len();
    let body = match manner {
        Manner::Whole => Body::from(body),
        Manner::Trickling(clock) => trickling(body, clock),
        Manner::Cut => cut(&body),
    };
    let mut post = client.post(url).headers(request.headers()).body(body);
    if !matches!(manner, Manner::Whole) {
        post = post.header(CONTENT_LENGTH, length);
    }
    match post.send().await {
        Ok(response) => Ok(response.status()),
        Err(error) => Err(reason(&error)),
    }
}

fn trickling(body: Bytes, clock: ScaledClock) -> Body {
    Body::wrap_stream(stream::iter(body).then(move |byte| async move {
        clock.sleep(Duration::from_secs(1)).await;
        io::Result::Ok(Bytes::copy_from_slice(&[byte]))
    }))
}

fn cut(body: &Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let broken = stream::once(async {
        // The half must leave before the connection closes.
        tokio::time::sleep(FLUSH).await;
        Err(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    Body::wrap_stream(stream::iter([Ok(half)]).chain(broken))
}

fn reason(error: &reqwest::Error) -> RetryReason {
    if error.is_timeout() {
        return RetryReason::HttpTimeout;
    }
    if error.is_redirect() {
        return RetryReason::TooManyRedirects;
    }
    if has_cause(error, |cause| cause.is::<rustls::Error>()) {
        return RetryReason::SslError;
    }
    if error.is_connect() || error.is_body() || has_cause(error, is_of_connection) {
        return RetryReason::ConnectionFailed;
    }
    RetryReason::UnknownError
}

fn is_of_connection(error: &(dyn Error + 'static)) -> bool {
    let hyper = error.downcast_ref::<hyper::Error>();
    let broken = hyper.is_some_and(|error| error.is_incomplete_message() || error.is_canceled());
    broken || error.is::<io::Error>()
}

fn has_cause(error: &(dyn Error + 'static), is: fn(&(dyn Error + 'static)) -> bool) -> bool {
    // `source` of an I/O error skips the error that it wraps.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(|error| error.get_ref());
    is(error)
        || wrapped.is_some_and(|error| has_cause(error, is))
        || error.source().is_some_and(|error| has_cause(error, is))
}

const FLUSH: Duration = Duration::from_millis(20);
