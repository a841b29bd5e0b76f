use std::{
    future,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::AUTHORIZATION},
    middleware::Next,
    response::Response,
};
use subtle::ConstantTimeEq;

use crate::{answer, faults::Fault, limit::Turn, state::Simulated};

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
    let limit = simulated.take_turn(Instant::now());
    if let Some((limit, Turn::Refused { wait })) = limit {
        return too_many(limit, wait, &request_id);
    }
    let faults = simulated.api_faults();
    let mut response = if faults.contains(&Fault::Api429) {
        let limit = limit.as_ref().map_or(0, |(limit, _)| *limit);
        too_many(limit, Duration::from_secs(1), &request_id)
    } else if faults.contains(&Fault::Api5xx) {
        let status = simulated.server_error();
        answer::refused(status, &request_id, "Something went wrong")
    } else {
        let response = next.run(request).await;
        if faults.contains(&Fault::ApiStalls) {
            future::pending::<()>().await;
        }
        response
    };
    if let Some((limit, Turn::Taken { remaining })) = limit {
        let headers = response.headers_mut();
        headers.entry(LIMIT).or_insert(limit.into());
        headers.entry(REMAINING).or_insert(remaining.into());
    }
    response
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

fn too_many(limit: usize, wait: Duration, request_id: &str) -> Response {
    let mut response = answer::refused(
        StatusCode::TOO_MANY_REQUESTS,
        request_id,
        "Too many requests: slow down",
    );
    // Round up, so that no client returns too early.
    let whole = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let reset = SystemTime::now() + wait;
    let reset = reset.duration_since(UNIX_EPOCH).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(LIMIT, limit.into());
    headers.insert(REMAINING, 0.into());
    headers.insert("x-ratelimit-reset", whole(reset).into());
    headers.insert("retry-after", whole(wait).max(1).into());
    response
}

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
