use std::{
    future, io,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use subtle::ConstantTimeEq;

use crate::{
    answer,
    faults::Fault,
    limit::{RateLimitStyle, Turn},
    state::Simulated,
};

/// Passes a request on if it has an API key, is within the rate limit, and meets no fault.
pub(crate) async fn guard(
    State(simulated): State<Arc<Simulated>>,
    request: Request,
    next: Next,
) -> Response {
    if !has_key(&simulated, &request) {
        return answer::message(
            StatusCode::UNAUTHORIZED,
            "Unauthorized: give a valid API key",
        );
    }
    let request_id = simulated.request_id();
    let mut turn = simulated.take_turn(request.uri().path(), Instant::now());
    let faults = match turn {
        Some(turn) if !turn.accepted => Vec::new(),
        _ => simulated.api_faults(),
    };
    if faults.contains(&Fault::Api429) {
        turn = Some(Turn {
            limit: turn.map_or(0, |turn| turn.limit),
            remaining: 0,
            accepted: false,
            reset: Duration::from_secs(1),
        });
    }
    let mut response = if turn.is_some_and(|turn| !turn.accepted) {
        let message = "Too many requests: slow down";
        answer::refused(StatusCode::TOO_MANY_REQUESTS, &request_id, message)
    } else if faults.contains(&Fault::Api5xx) {
        let status = simulated.server_error();
        answer::refused(status, &request_id, "Something went wrong")
    } else {
        let response = next.run(request).await;
        if faults.contains(&Fault::ApiStalls) {
            future::pending::<()>().await;
        }
        match faults.contains(&Fault::ApiDrops) {
            true => broken(),
            false => response,
        }
    };
    if let Some(turn) = turn {
        let style = simulated.config.rate_limit_style;
        report(&turn, style, response.headers_mut());
    }
    response
}

/// Returns an answer whose connection breaks in the body.
fn broken() -> Response {
    let cut = stream::once(future::ready(Err::<Bytes, _>(io::Error::other("cut"))));
    Response::new(Body::from_stream(cut))
}

fn has_key(simulated: &Simulated, request: &Request) -> bool {
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .and_then(|value| value.strip_prefix(b"Bearer "))
        .map(<[u8]>::trim_ascii)
        .filter(|key| !key.is_empty());
    match (given, &simulated.config.api_key) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(given), Some(key)) => given.ct_eq(key.as_bytes()).into(),
    }
}

/// Adds the headers of the rate limit to an answer.
fn report(turn: &Turn, style: RateLimitStyle, headers: &mut HeaderMap) {
    // Round up, so that no client returns too early.
    let whole = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let reset = match style {
        RateLimitStyle::PerEndpoint => Some(turn.reset),
        RateLimitStyle::Shared if turn.accepted => None,
        RateLimitStyle::Shared => {
            let reset = SystemTime::now() + turn.reset;
            Some(reset.duration_since(UNIX_EPOCH).unwrap_or_default())
        }
    };
    headers.insert("x-ratelimit-limit", turn.limit.into());
    headers.insert("x-ratelimit-remaining", turn.remaining.into());
    if let Some(reset) = reset {
        headers.insert("x-ratelimit-reset", whole(reset).into());
    }
    if !turn.accepted {
        headers.insert("retry-after", whole(turn.reset).max(1).into());
    }
}
