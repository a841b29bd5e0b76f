//! Outputs are typed as a reference types them, field by field, with any value in place of the expected one.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use tower_pyannote::{Output, WebhookEvent, event::Delivery};
use tower_pyannote_fuzz::now;
use tower_pyannote_naive as naive;

/// The JSON text of an output.
#[derive(Debug)]
struct Input(String);

impl<'a> Arbitrary<'a> for Input {
    fn arbitrary(u: &mut Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut json = String::new();
        let blank = u.choose(&["", " ", "\r\n\t"])?;
        write(u, blank, &mut json, 0)?;
        Ok(Self(json))
    }
}

fuzz_target!(|input: Input| {
    let Input(json) = input;
    // A Value keeps the last of two equal keys.
    let output: Value = serde_json::from_str(&json).expect("the text is JSON");
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

/// Writes a value with mostly known keys, some of them twice.
fn write(
    u: &mut Unstructured<'_>,
    blank: &str,
    json: &mut String,
    depth: usize,
) -> arbitrary::Result<()> {
    let kinds = if depth < 6 { 9 } else { 6 };
    let scalar = match u.int_in_range(0..=kinds)? {
        0 => Value::Null,
        1 => json!(u.arbitrary::<bool>()?),
        2 => json!(f64::from(u.arbitrary::<i32>()?) / 8.0),
        3 => json!(u.arbitrary::<i64>()?),
        4 => json!(u.arbitrary::<f64>()?),
        5 => json!(u.arbitrary::<&str>()?),
        6 => json!(format!("SPEAKER_{:02}", u.arbitrary::<u8>()?)),
        7 => {
            return list(u, json, blank, ['[', ']'], |u, json| {
                write(u, blank, json, depth + 1)
            });
        }
        _ => {
            let mut keys: Vec<String> = Vec::new();
            return list(u, json, blank, ['{', '}'], |u, json| {
                let key = match u.int_in_range(0..=7)? {
                    0 => u.arbitrary()?,
                    1 if !keys.is_empty() => u.choose(&keys)?.clone(),
                    _ => (*u.choose(&KEYS)?).to_owned(),
                };
                *json += &json!(key).to_string();
                keys.push(key);
                json.extend([blank, ":", blank]);
                write(u, blank, json, depth + 1)
            });
        }
    };
    *json += &scalar.to_string();
    Ok(())
}

fn list<'a>(
    u: &mut Unstructured<'a>,
    json: &mut String,
    blank: &str,
    [open, close]: [char; 2],
    mut item: impl FnMut(&mut Unstructured<'a>, &mut String) -> arbitrary::Result<()>,
) -> arbitrary::Result<()> {
    json.push(open);
    for index in 0..u.int_in_range(0..=5)? {
        json.extend([if index > 0 { "," } else { "" }, blank]);
        item(u, json)?;
    }
    *json += blank;
    json.push(close);
    Ok(())
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
