use actson::{JsonEvent, JsonParser, feeder::SliceJsonFeeder};
use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tower_pyannote::{WebhookEvent, event::Delivery};
use tower_pyannote_benches::exact::{self, Body};
use tower_pyannote_benches::rounds::{Rounds, Table, prepared_way, time, way};
use tower_pyannote_benches::{bodies, then};

/// Compares the JSON check and the envelope scan with three other parsers. The response waits for this work.
pub(crate) fn envelope(rounds: Rounds) {
    let mut peers = ENVELOPES.map(|(title, column, _)| {
        let rows: Vec<(String, f64, f64)> = Vec::new();
        (title, column, rows)
    });
    for (name, body) in bodies(rounds) {
        for (title, _, envelope) in ENVELOPES {
            assert!(envelope(&body), "{title} reads {name}");
        }
        let [syntax, raw_value, actson] = ENVELOPES.map(|(_, _, envelope)| envelope);
        let ways = [
            way(|| event(&body)),
            way(|| syntax(&body)),
            way(|| raw_value(&body)),
            way(|| actson(&body)),
        ];
        let [ours, others @ ..] = rounds.medians(ways);
        for ((.., rows), other) in peers.iter_mut().zip(others) {
            rows.push((format!("{name} {} B", body.len()), ours, other));
        }
    }
    for (title, column, rows) in peers {
        let mut table = Table::new(
            &format!("Envelope over {title}"),
            &format!("envelope | {column} | ratio"),
        );
        for (name, ours, other) in rows {
            let figures = format!("{} | {}", time(ours), time(other));
            table.at_most(&name, &figures, ours / other, None);
        }
    }
}

/// A title, the heading of its column, and a function that returns whether a body has an envelope.
type Envelope = (&'static str, &'static str, fn(&[u8]) -> bool);

const ENVELOPES: [Envelope; 3] = [
    (
        "serde_json::from_slice::<IgnoredAny>, the syntax alone",
        "syntax",
        syntax,
    ),
    (
        "serde_json into a struct with a RawValue",
        "RawValue",
        raw_value,
    ),
    ("actson, events of a slice", "actson", actson),
];

fn syntax(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

fn raw_value(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope<'a> {
        job_id: &'a str,
        #[expect(dead_code, reason = "it is read")]
        status: &'a str,
        #[expect(dead_code, reason = "it is read")]
        #[serde(borrow)]
        output: Option<&'a RawValue>,
    }

    serde_json::from_slice::<Envelope<'_>>(body).is_ok_and(|envelope| !envelope.job_id.is_empty())
}

/// Reads job and status from events, as a receiver without a parser of its own would.
fn actson(body: &[u8]) -> bool {
    let mut parser = JsonParser::new(SliceJsonFeeder::new(body));
    let mut depth = 0;
    let mut key = None;
    let (mut job_id, mut status) = (String::new(), String::new());
    while let Ok(Some(event)) = parser.next_event() {
        match event {
            JsonEvent::StartObject | JsonEvent::StartArray => depth += 1,
            JsonEvent::EndObject | JsonEvent::EndArray => depth -= 1,
            JsonEvent::FieldName if depth == 1 => {
                key = match parser.current_str() {
                    Ok("jobId") => Some(&mut job_id),
                    Ok("status") => Some(&mut status),
                    _ => None,
                };
            }
            JsonEvent::ValueString if depth == 1 => {
                if let (Some(field), Ok(text)) = (key.take(), parser.current_str()) {
                    *field = text.to_owned();
                }
            }
            _ => {}
        }
    }
    depth == 0 && !job_id.is_empty() && !status.is_empty()
}

/// Compares the speed of typed output with that of an exact struct of Strings.
pub(crate) fn typed(rounds: Rounds) {
    let mut alone = Table::new(
        "Speed of typed output over serde_json::from_slice into an exact struct, of the output",
        "exact | typed | speed",
    );
    let mut rows = Vec::new();
    for (name, body) in diarizations(rounds) {
        let json = bodies::output_of(&body);
        let ways = [
            prepared_way(|| (), |()| exact::<exact::Diarization>(&json)),
            prepared_way(|| event(&body), typed_of),
            prepared_way(|| (), |()| exact::<Body<exact::Diarization>>(&body)),
            prepared_way(|| body.clone(), |body| typed_of(event(&body))),
        ];
        let [exact, typed, exact_body, both] = rounds.medians(ways);
        let figures = format!("{} | {}", time(exact), time(typed));
        alone.at_least(name, &figures, exact / typed, target(name));
        rows.push((name, exact_body, both));
    }
    let mut whole = Table::new(
        "The same of the whole body, with the check of its syntax and its envelope before",
        "exact | both | speed",
    );
    for (name, exact, both) in rows {
        let figures = format!("{} | {}", time(exact), time(both));
        whole.at_least(name, &figures, exact / both, None);
    }
}

/// Compares the speed of typed output with that of sonic-rs into an exact struct of Strings.
pub(crate) fn sonic(rounds: Rounds) {
    let mut table = Table::new(
        "Speed of typed output over sonic-rs into an exact struct, of the output",
        "sonic-rs | typed | speed",
    );
    for (name, body) in diarizations(rounds) {
        let json = bodies::output_of(&body);
        let sonic =
            |()| sonic_rs::from_slice::<exact::Diarization>(&json).expect("the body is an output");
        let ways = [
            prepared_way(|| (), sonic),
            prepared_way(|| event(&body), typed_of),
        ];
        let [sonic, typed] = rounds.medians(ways);
        let figures = format!("{} | {}", time(sonic), time(typed));
        table.at_least(name, &figures, sonic / typed, Some(0.85));
    }
}

fn target(name: &str) -> Option<f64> {
    match name {
        "a" => Some(1.4),
        "b" => Some(2.5),
        "c" => Some(1.5),
        "d" => Some(1.1),
        _ => None,
    }
}

fn bodies(rounds: Rounds) -> Vec<(&'static str, Bytes)> {
    let mut bodies = bodies::kinds();
    if rounds.are_quick() {
        bodies.retain(|(_, body)| body.len() < 10_000);
    }
    bodies
}

fn diarizations(rounds: Rounds) -> Vec<(&'static str, Bytes)> {
    let mut diarizations = vec![("a", bodies::minute())];
    if !rounds.are_quick() {
        diarizations.extend([
            ("b", bodies::turns()),
            ("c", bodies::words()),
            ("d", bodies::day()),
            ("d0", bodies::curve()),
        ]);
    }
    diarizations
}

fn event(body: &Bytes) -> WebhookEvent {
    WebhookEvent::new(body.clone(), Delivery::at(then())).expect("the body is an event")
}

fn typed_of(event: WebhookEvent) -> WebhookEvent {
    let output = event.output().and_then(|output| output.as_diarization());
    assert!(output.is_some(), "it is a diarization");
    event
}

fn exact<T: serde::de::DeserializeOwned>(json: &[u8]) -> T {
    serde_json::from_slice(json).expect("it fits")
}
