//! A typed output is what a reference makes of it field by field, whatever stands in place of what is wanted.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tower_pyannote::{Delivery, Output, WebhookEvent};
use tower_pyannote_fuzz::now;

#[path = "../../tests/events/naive.rs"]
mod naive;

#[derive(Debug)]
struct Input {
    output: Value,
    pretty: bool,
}

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self {
            output: value(u, 0)?,
            pretty: u.arbitrary()?,
        })
    }
}

fuzz_target!(|input: Input| {
    let json = if input.pretty {
        format!("{:#}", input.output)
    } else {
        input.output.to_string()
    };
    // As serde_json reads it: the last digit of a number may be another than was written.
    let output: Value = serde_json::from_str(&json).expect("serde_json wrote it");
    let body = format!(r#"{{"jobId":"a","status":"succeeded","output":{json}}}"#);
    let event = WebhookEvent::new(body.into(), Delivery::at(now()));
    let event = event.expect("the body names its job");
    let Some(typed) = event.output() else {
        return assert!(output.is_null());
    };
    assert_eq!(event.kind(), Some(naive::kind(&output)));
    assert_eq!(naive::written(typed), naive::typed(&output));
    if let Output::Unknown(unknown) = typed {
        assert_eq!(unknown.json(), json);
    }
});

/// A value of few kinds, in which known keys meet each other often.
fn value(u: &mut Unstructured<'_>, depth: usize) -> arbitrary::Result<Value> {
    let kinds = if depth < 6 { 9 } else { 6 };
    Ok(match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => json!(u.arbitrary::<bool>()?),
        2 => json!(f64::from(u.arbitrary::<i32>()?) / 8.0),
        3 => json!(u.arbitrary::<i64>()?),
        4 => json!(u.arbitrary::<f64>()?),
        5 => json!(u.arbitrary::<&str>()?),
        6 => json!(format!("SPEAKER_{:02}", u.arbitrary::<u8>()?)),
        7 => {
            let mut items = Vec::new();
            for _ in 0..u.int_in_range(0..=4)? {
                items.push(value(u, depth + 1)?);
            }
            Value::Array(items)
        }
        _ => {
            let mut fields = Map::new();
            for _ in 0..u.int_in_range(0..=5)? {
                let key = match u.int_in_range(0..=7)? {
                    0 => u.arbitrary()?,
                    _ => (*u.choose(&KEYS)?).to_owned(),
                };
                fields.insert(key, value(u, depth + 1)?);
            }
            Value::Object(fields)
        }
    })
}

const KEYS: [&str; 22] = [
    "diarization",
    "exclusiveDiarization",
    "wordLevelTranscription",
    "turnLevelTranscription",
    "identification",
    "voiceprints",
    "voiceprint",
    "confidence",
    "speechProbability",
    "crosstalkProbability",
    "speakerProbability",
    "score",
    "resolution",
    "speaker",
    "start",
    "end",
    "text",
    "match",
    "diarizationSpeaker",
    "warning",
    "error",
    "SPEAKER_00",
];
