use std::{borrow::Cow, fmt};

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Makes what a job's webhook brings out of what the API answers: without the dates, which the API alone tells, and without
/// the output if the webhook was asked to tell the status only. All else stays as it stands.
///
/// # Errors
///
/// The answer is no JSON object.
pub(super) fn of_webhook(answer: &[u8], status_only: bool) -> Result<Bytes, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(answer);
    let fields = (&mut json).deserialize_map(Fields)?;
    json.end()?;
    let mut body = Vec::with_capacity(answer.len());
    for (key, value) in fields {
        let name: Cow<'_, str> = serde_json::from_str(key.get()).unwrap_or_default();
        match &*name {
            "createdAt" | "updatedAt" => continue,
            "output" if status_only => continue,
            _ => {}
        }
        body.push(if body.is_empty() { b'{' } else { b',' });
        body.extend_from_slice(key.get().as_bytes());
        body.push(b':');
        body.extend_from_slice(value.get().as_bytes());
    }
    if body.is_empty() {
        body.push(b'{');
    }
    body.push(b'}');
    Ok(body.into())
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(&'de RawValue, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(answer: &str, status_only: bool) -> String {
        let body = of_webhook(answer.as_bytes(), status_only).unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn the_dates_go_and_all_else_stays_as_it_stands() {
        let answer = r#" {"createdAt":"2026-01-01T00:00:00Z", "jobId" : "a","status":"succeeded",
            "updatedAt":null,"output":{"diarization":[ 1.50 ],"createdAt":"kept"},"new":[{}] } "#;
        assert_eq!(
            made(answer, false),
            r#"{"jobId":"a","status":"succeeded","output":{"diarization":[ 1.50 ],"createdAt":"kept"},"new":[{}]}"#
        );
    }

    #[test]
    fn the_output_goes_where_the_webhook_tells_the_status_only() {
        let answer = r#"{"jobId":"a","status":"succeeded","output":{"voiceprint":"AA"}}"#;
        assert_eq!(made(answer, true), r#"{"jobId":"a","status":"succeeded"}"#);
        assert_eq!(made(answer, false), answer);
    }

    #[test]
    fn a_key_is_known_however_it_is_written_and_any_key_is_borne() {
        assert_eq!(
            made(r#"{"cr\u0065atedAt":1,"\ud800":2,"":3}"#, false),
            r#"{"\ud800":2,"":3}"#
        );
        assert_eq!(made("{}", true), "{}");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for answer in ["", "[]", "{} {}", r#"{"jobId":"a""#] {
            assert!(of_webhook(answer.as_bytes(), false).is_err(), "{answer}");
        }
    }
}
