use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, StatusCode, header::RETRY_AFTER};
use reqwest::Response;
use serde_json::Value;

use crate::error::{Answer, ClientError, FieldError};
use crate::error_kind::ClientErrorKind;
use crate::key::ApiKey;

/// Receives the body of an answer, if it keeps to the limit.
pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Bytes, ClientError> {
    let too_large = || ClientError::new(ClientErrorKind::TooLarge);
    let announced = response.content_length().unwrap_or(0);
    let announced = usize::try_from(announced).map_err(|_| too_large())?;
    if announced > limit {
        return Err(too_large());
    }
    let mut body = BytesMut::with_capacity(announced.min(MOST_RESERVED));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Makes an error of an answer that tells of one, whatever its body is.
pub(crate) async fn refusal(response: Response, key: &ApiKey, now: SystemTime) -> ClientError {
    let status = response.status();
    let retry_after = asked_pause(status, response.headers(), now);
    let mut answer = match read(response, LARGEST_REFUSAL).await {
        Ok(body) => parse(&body, key),
        Err(_) => Answer::default(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        answer.retry_after = retry_after;
    }
    ClientError::answered(status, answer)
}

/// How long an answer asks all requests to wait.
pub(crate) fn asked_pause(
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
    used_up.then(|| until_reset().unwrap_or(PAUSE_WHEN_USED_UP))
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn parse(body: &[u8], key: &ApiKey) -> Answer {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Answer::default();
    };
    let errors = body.get("errors").and_then(Value::as_array);
    Answer {
        message: body
            .get("message")
            .and_then(text)
            .map(|text| clean(&text, key)),
        fields: errors
            .into_iter()
            .flatten()
            .filter_map(|error| field_error(error, key))
            .collect(),
        request_id: body
            .get("requestId")
            .and_then(text)
            .map(|text| clean(&text, key)),
        ..Answer::default()
    }
}

fn field_error(error: &Value, key: &ApiKey) -> Option<FieldError> {
    let part = |name| error.get(name).and_then(text).map(|text| clean(&text, key));
    let (field, message) = (part("field"), part("message"));
    if field.is_none() && message.is_none() {
        return None;
    }
    Some(FieldError::new(
        field.unwrap_or_default(),
        message.unwrap_or_default(),
    ))
}

/// A string, or several, as some frameworks send them.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(texts) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        _ => None,
    }
}

/// Makes of what was sent a text that may stand in one line of a log.
fn clean(text: &str, key: &ApiKey) -> String {
    let blank = |char: char| if char.is_control() { ' ' } else { char };
    let redacted = key.redact(text);
    redacted.chars().take(LONGEST_TEXT).map(blank).collect()
}

const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const PAUSE_WHEN_USED_UP: Duration = Duration::from_secs(1);
const LARGEST_REFUSAL: usize = 64 * 1024;
const MOST_RESERVED: usize = 1024 * 1024;
const LONGEST_TEXT: usize = 1000;

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
    fn the_asked_pause_is_read_from_what_headers_there_are() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        type Case = (&'static str, u16, Lines, Option<u64>);
        let cases: [Case; 12] = [
            ("plenty left", 200, &[("x-ratelimit-remaining", "7")], None),
            ("nothing told", 200, &[], None),
            ("used up", 200, &[("x-ratelimit-remaining", "0")], Some(1)),
            (
                "used up until",
                200,
                &[
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1030"),
                ],
                Some(30),
            ),
            (
                "a reset that is over",
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "990")],
                Some(1),
            ),
            ("refused", 429, &[], None),
            ("refused for", 429, &[("retry-after", "12")], Some(12)),
            (
                "refused until",
                429,
                &[("x-ratelimit-reset", "1009")],
                Some(9),
            ),
            (
                "refused twice over",
                429,
                &[("retry-after", "3"), ("x-ratelimit-reset", "1009")],
                Some(3),
            ),
            (
                "a date",
                429,
                &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")],
                None,
            ),
            ("junk", 429, &[("retry-after", "-1")], None),
            (
                "beyond time",
                429,
                &[("x-ratelimit-reset", "18446744073709551615")],
                None,
            ),
        ];
        for (name, status, lines, expected) in cases {
            let status = StatusCode::from_u16(status).unwrap();
            let pause = asked_pause(status, &headers(lines), now);
            assert_eq!(pause, expected.map(Duration::from_secs), "{name}");
        }
    }

    #[test]
    fn a_refusal_is_read_from_whatever_json_there_is() {
        let key = ApiKey::new(&Zeroizing::new("sk_0123".to_owned())).unwrap();
        let read = |body: &str| {
            let answer = parse(body.as_bytes(), &key);
            (answer.message, answer.fields.len(), answer.request_id)
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
