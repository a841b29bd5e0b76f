use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde_json::Value;

use crate::api_key::ApiKey;
use crate::error::{ClientError, ErrorResponse, FieldError};
use crate::error_kind::ClientErrorKind;
use crate::rate_limit_headers::RateLimitHeaders;

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
pub(crate) async fn error(
    response: Response,
    key: &ApiKey,
    rate_limit: &RateLimitHeaders,
) -> ClientError {
    let status = response.status();
    let mut error = match read(response, MAX_ERROR_BODY).await {
        Ok(body) => parse_error(&body, key),
        Err(_) => ErrorResponse::default(),
    };
    if rate_limit.exceeded {
        error.retry_after = rate_limit.pause();
    }
    ClientError::from_response(ClientErrorKind::of(status), status, error)
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

const MAX_ERROR_BODY: usize = 64 * 1024;
const MAX_RESERVED: usize = 1024 * 1024;
const MAX_TEXT_CHARS: usize = 1000;

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

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
