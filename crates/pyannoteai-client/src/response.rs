use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header::RETRY_AFTER};
use reqwest::Response;
use serde_json::Value;

use crate::api_key::ApiKey;
use crate::error::{ClientError, ErrorResponse, FieldError};
use crate::error_kind::ClientErrorKind;

/// Receives the body of a response of at most `limit` bytes.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Bytes, ClientError> {
    let too_large = || ClientError::new(ClientErrorKind::TooLarge);
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced.min(MAX_RESERVED));
    while let Some(chunk) = response.chunk().await.map_err(ClientError::from_reqwest)? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Makes an error from a response that is not a success, whatever its body holds.
pub(crate) async fn error(response: Response, key: &ApiKey, now: SystemTime) -> ClientError {
    let status = response.status();
    let retry_after = requested_pause(status, response.headers(), now);
    let mut error = match read(response, MAX_ERROR_BODY).await {
        Ok(body) => parse_error(&body, key),
        Err(_) => ErrorResponse::default(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        error.retry_after = retry_after;
    }
    ClientError::from_response(ClientErrorKind::of(status), status, error)
}

/// Returns how long the API asks the client to send nothing.
pub(crate) fn requested_pause(
    status: StatusCode,
    headers: &HeaderMap,
    now: SystemTime,
) -> Option<Duration> {
    let retry_after = || number(headers, &RETRY_AFTER).map(Duration::from_secs);
    let until_reset = || {
        let reset = UNIX_EPOCH.checked_add(Duration::from_secs(number(headers, &RESET)?))?;
        reset.duration_since(now).ok()
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        return retry_after().or_else(until_reset);
    }
    let used_up = number(headers, &REMAINING)? == 0;
    used_up.then(|| until_reset().unwrap_or(DEFAULT_PAUSE))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn parse_error(body: &[u8], key: &ApiKey) -> ErrorResponse {
    let Ok(body @ Value::Object(_)) = serde_json::from_slice(body) else {
        return ErrorResponse::default();
    };
    let errors = body.get("errors").and_then(Value::as_array);
    let fields = errors.into_iter().flatten().filter_map(|error| {
        let (field, message) = (text(error, "field", key), text(error, "message", key));
        (field.is_some() || message.is_some()).then(|| FieldError {
            field: field.unwrap_or_default(),
            message: message.unwrap_or_default(),
        })
    });
    ErrorResponse {
        message: text(&body, "message", key),
        fields: fields.collect(),
        request_id: text(&body, "requestId", key),
        ..ErrorResponse::default()
    }
}

/// Returns a member that is a string or an array of strings, as one line for a log.
fn text(object: &Value, name: &str, key: &ApiKey) -> Option<String> {
    let text = match object.get(name)? {
        Value::String(text) => text.clone(),
        Value::Array(texts) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join("; "))?
        }
        _ => return None,
    };
    let blank = |char: char| if char.is_control() { ' ' } else { char };
    let redacted = key.redact(&text);
    Some(redacted.chars().take(MAX_TEXT_CHARS).map(blank).collect())
}

const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
const MAX_ERROR_BODY: usize = 64 * 1024;
const MAX_RESERVED: usize = 1024 * 1024;
const MAX_TEXT_CHARS: usize = 1000;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    type Lines = &'static [(&'static str, &'static str)];

    fn headers(lines: Lines) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_pause_is_read_from_the_headers_of_the_rate_limit() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        type Case = (&'static str, u16, Lines, Option<u64>);
        let cases: [Case; 12] = [
            (
                "requests remain",
                200,
                &[("x-ratelimit-remaining", "7")],
                None,
            ),
            ("no headers", 200, &[], None),
            ("used up", 200, &[("x-ratelimit-remaining", "0")], Some(1)),
            (
                "used up, with a reset",
                200,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1030"),
                ],
                Some(30),
            ),
            (
                "used up, with a reset in the past",
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "990")],
                Some(1),
            ),
            ("429", 429, &[], None),
            (
                "429 with Retry-After",
                429,
                &[("retry-after", "12")],
                Some(12),
            ),
            (
                "429 with a reset",
                429,
                &[("x-ratelimit-reset", "1009")],
                Some(9),
            ),
            (
                "429 with both",
                429,
                &[("retry-after", "3"), ("x-ratelimit-reset", "1009")],
                Some(3),
            ),
            (
                "Retry-After is a date",
                429,
                &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")],
                None,
            ),
            (
                "Retry-After is negative",
                429,
                &[("retry-after", "-1")],
                None,
            ),
            (
                "the reset overflows",
                429,
                &[("x-ratelimit-reset", "18446744073709551615")],
                None,
            ),
        ];
        for (name, status, lines, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let pause = requested_pause(status, &headers(lines), now);
            assert_eq!(pause, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn an_error_body_of_any_form_is_read() {
        let key = ApiKey::new(&Zeroizing::new("sk_0123".to_owned())).unwrap();
        let read = |body: &str| {
            let error = parse_error(body.as_bytes(), &key);
            (error.message, error.fields.len(), error.request_id)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("<html>"), (None, 0, None));
        assert_eq!(read("[]"), (None, 0, None));
        assert_eq!(
            read(r#"{"message":7,"errors":{},"requestId":[]}"#),
            (None, 0, None)
        );
        assert_eq!(read(r#"{"message":["a","b"]}"#), (some("a; b"), 0, None));
        assert_eq!(
            read(
                r#"{"message":"key sk_0123\nbad","requestId":"r1","errors":[7,{},{"field":"url"}]}"#
            ),
            (some("key [redacted] bad"), 1, some("r1"))
        );
        let long = format!(r#"{{"message":"{}"}}"#, "é".repeat(2_000));
        assert_eq!(read(&long).0, Some("é".repeat(1_000)));
    }
}
