use std::{error::Error, io, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use reqwest::{Body, Client, StatusCode, Url, header::CONTENT_LENGTH, redirect::Policy};
use tower_pyannote::{clock::Clock, event::RetryReason, testing::SignedRequest};

use super::clock::ScaledClock;

/// How a body is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    Whole,
    /// A byte a second.
    Trickling(ScaledClock),
    /// Half of it, then the connection breaks.
    Cut,
}

/// A client that goes where pyannoteAI goes: through at most two redirects, and through no proxy.
pub(crate) fn client() -> Result<Client, String> {
    // Fails if it was done before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .redirect(Policy::limited(2))
        .user_agent("pyannoteAI-simulator")
        .build()
        .map_err(|error| format!("cannot make connections: {error}"))
}

/// Sends it once; the status it was answered with, or why there was no answer, in the words of `x-retry-reason`.
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
        Manner::Cut => cut(body),
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
    let bytes = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        clock.sleep(Duration::from_secs(1)).await;
        let byte = rest.split_to(1);
        Some((io::Result::Ok(byte), rest))
    });
    Body::wrap_stream(bytes)
}

fn cut(body: Bytes) -> Body {
    let half = body.slice(..body.len() / 2);
    let broken = io::Error::from(io::ErrorKind::ConnectionAborted);
    let pieces = stream::unfold(Some((half, Some(broken))), |state| async move {
        let (half, broken) = state?;
        if !half.is_empty() {
            return Some((Ok(half), Some((Bytes::new(), broken))));
        }
        // Lets the half go out before the connection is closed.
        tokio::time::sleep(FLUSH).await;
        Some((Err(broken?), None))
    });
    Body::wrap_stream(pieces)
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
    // What an I/O error wraps is not its source.
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(|error| error.get_ref());
    is(error)
        || wrapped.is_some_and(|error| has_cause(error, is))
        || error.source().is_some_and(|error| has_cause(error, is))
}

const FLUSH: Duration = Duration::from_millis(20);
