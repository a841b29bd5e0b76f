//! The plain way to type an output: over `serde_json::Value`, field by field.
#![allow(clippy::must_use_candidate, reason = "only tests call this crate")]

use serde_json::{Map, Value, json};
use tower_pyannote::{Kind, Output};

/// Returns the kind of an output, and the JSON that its typed form should serialize to.
pub fn typed(output: &Value) -> (Kind, Value) {
    let typed = match kind(output) {
        Kind::Diarization => diarization(output),
        Kind::Identification => identification(output),
        Kind::Voiceprint => voiceprint(output),
        _ => None,
    };
    typed.map_or((Kind::Unknown, output.clone()), |typed| {
        (kind(output), typed)
    })
}

/// Returns the kind of a typed output, and the JSON that it serializes to.
pub fn written(output: &Output) -> (Kind, Value) {
    let value = match output {
        Output::Diarization(output) => serde_json::to_value(output),
        Output::Identification(output) => serde_json::to_value(output),
        Output::Voiceprint(output) => serde_json::to_value(output),
        Output::Unknown(output) => output.parse(),
        _ => panic!("a new kind: {output:?}"),
    };
    (output.kind(), value.unwrap())
}

pub fn kind(output: &Value) -> Kind {
    let is = |key: &str, shape: fn(&Value) -> bool| output.get(key).is_some_and(shape);
    let odd = |key: &str, shape: fn(&Value) -> bool| {
        output
            .get(key)
            .is_some_and(|value| !value.is_null() && !shape(value))
    };
    let arrays = ["identification", "voiceprints", "diarization"];
    if odd("voiceprint", Value::is_string) || arrays.iter().any(|key| odd(key, Value::is_array)) {
        Kind::Unknown
    } else if is("voiceprint", Value::is_string) {
        Kind::Voiceprint
    } else if is("identification", Value::is_array) || is("voiceprints", Value::is_array) {
        Kind::Identification
    } else if output.get("diarization").is_some() {
        Kind::Diarization
    } else {
        Kind::Unknown
    }
}

fn diarization(output: &Value) -> Option<Value> {
    let mut typed = Map::new();
    typed.insert(
        "diarization".into(),
        array(output, "diarization", turn)?.into(),
    );
    for (key, item) in [
        ("exclusiveDiarization", turn as fn(&Value) -> Option<Value>),
        ("wordLevelTranscription", segment),
        ("turnLevelTranscription", segment),
    ] {
        insert_some(&mut typed, key, array(output, key, item)?);
    }
    scores_and_messages(output, &mut typed)?;
    Some(typed.into())
}

fn identification(output: &Value) -> Option<Value> {
    let mut typed = Map::new();
    typed.insert(
        "identification".into(),
        array(output, "identification", identified)?.into(),
    );
    for key in ["diarization", "exclusiveDiarization"] {
        insert_some(&mut typed, key, array(output, key, turn)?);
    }
    insert_some(
        &mut typed,
        "voiceprints",
        array(output, "voiceprints", matched)?,
    );
    scores_and_messages(output, &mut typed)?;
    Some(typed.into())
}

fn voiceprint(output: &Value) -> Option<Value> {
    let mut typed = Map::new();
    typed.insert(
        "voiceprint".into(),
        text(output, "voiceprint")?.unwrap_or_default().into(),
    );
    messages(output, &mut typed)?;
    Some(typed.into())
}

fn turn(value: &Value) -> Option<Value> {
    let mut typed = Map::new();
    typed.insert(
        "speaker".into(),
        text(value, "speaker")?.unwrap_or_default().into(),
    );
    typed.insert("start".into(), number(value, "start")?.into());
    typed.insert("end".into(), number(value, "end")?.into());
    insert_labels(&mut typed, labels(value, "confidence", score)?);
    Some(typed.into())
}

fn segment(value: &Value) -> Option<Value> {
    Some(json!({
        "start": number(value, "start")?,
        "end": number(value, "end")?,
        "text": text(value, "text")?.unwrap_or_default(),
        "speaker": text(value, "speaker")?.unwrap_or_default(),
    }))
}

fn identified(value: &Value) -> Option<Value> {
    let mut typed = Map::new();
    for (key, field) in [
        ("start", number(value, "start")?),
        ("end", number(value, "end")?),
    ] {
        typed.extend(field.map(|number| (key.to_owned(), number.into())));
    }
    typed.extend(text(value, "speaker")?.map(|speaker| ("speaker".to_owned(), speaker.into())));
    insert_labels(&mut typed, labels(value, "confidence", score)?);
    let speaker = text(value, "diarizationSpeaker")?.unwrap_or_default();
    typed.insert("diarizationSpeaker".into(), speaker.into());
    typed.insert("match".into(), text(value, "match")?.into());
    Some(typed.into())
}

fn matched(value: &Value) -> Option<Value> {
    Some(json!({
        "speaker": text(value, "speaker")?.unwrap_or_default(),
        "match": text(value, "match")?,
        "confidence": labels(value, "confidence", score)?,
    }))
}

fn scores_and_messages(output: &Value, typed: &mut Map<String, Value>) -> Option<()> {
    for key in ["confidence", "speechProbability", "crosstalkProbability"] {
        if let Some(curve) = present(output, key)? {
            let resolution = number(curve, "resolution")?;
            let curve = json!({"score": scores(curve.get("score"))?, "resolution": resolution});
            typed.insert(key.into(), curve);
        }
    }
    if let Some(curves) = present(output, "speakerProbability")? {
        let score = labels(curves, "score", |value| {
            scores(Some(value)).map(Value::from)
        })?;
        let curves = json!({"score": score, "resolution": number(curves, "resolution")?});
        typed.insert("speakerProbability".into(), curves);
    }
    messages(output, typed)
}

fn messages(output: &Value, typed: &mut Map<String, Value>) -> Option<()> {
    for key in ["warning", "error"] {
        typed.extend(text(output, key)?.map(|message| (key.to_owned(), message.into())));
    }
    Some(())
}

/// Returns a field, `Some(None)` if it is absent or null, `None` if `value` is not an object.
fn present<'a>(value: &'a Value, key: &str) -> Option<Option<&'a Value>> {
    Some(value.as_object()?.get(key).filter(|field| !field.is_null()))
}

fn text(value: &Value, key: &str) -> Option<Option<String>> {
    present(value, key)?.map_or(Some(None), |field| {
        field.as_str().map(|text| Some(text.to_owned()))
    })
}

fn number(value: &Value, key: &str) -> Option<Option<f64>> {
    present(value, key)?.map_or(Some(None), |field| field.as_f64().map(Some))
}

fn score(value: &Value) -> Option<Value> {
    value.as_f64().map(|score| json!(score as f32))
}

fn scores(value: Option<&Value>) -> Option<Vec<Value>> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Some(Vec::new());
    };
    let item = |item: &Value| {
        if item.is_null() {
            Some(Value::Null)
        } else {
            score(item)
        }
    };
    value.as_array()?.iter().map(item).collect()
}

fn labels(
    value: &Value,
    key: &str,
    item: fn(&Value) -> Option<Value>,
) -> Option<Map<String, Value>> {
    let Some(labels) = present(value, key)? else {
        return Some(Map::new());
    };
    let present = labels
        .as_object()?
        .iter()
        .filter(|(_, value)| !value.is_null());
    present
        .map(|(label, value)| Some((label.clone(), item(value)?)))
        .collect()
}

fn array(value: &Value, key: &str, item: fn(&Value) -> Option<Value>) -> Option<Vec<Value>> {
    let Some(items) = present(value, key)? else {
        return Some(Vec::new());
    };
    items
        .as_array()?
        .iter()
        .filter(|value| !value.is_null())
        .map(item)
        .collect()
}

fn insert_some(typed: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    if !items.is_empty() {
        typed.insert(key.into(), items.into());
    }
}

fn insert_labels(typed: &mut Map<String, Value>, labels: Map<String, Value>) {
    if !labels.is_empty() {
        typed.insert("confidence".into(), labels.into());
    }
}
