use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tower_pyannote::{Diarization, WebhookEvent, event::Delivery};
use tower_pyannote_benches::exact::{self, Body};
use tower_pyannote_benches::rounds::{Rounds, Table, prepared_way, time, way};
use tower_pyannote_benches::{bodies, then};

/// The one pass that the answer waits for, over a check of the syntax alone, and over an envelope by serde_json.
pub(crate) fn envelope(rounds: Rounds) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope<'a> {
        #[expect(dead_code, reason = "it is read")]
        job_id: &'a str,
        #[expect(dead_code, reason = "it is read")]
        status: &'a str,
        #[expect(dead_code, reason = "it is read")]
        #[serde(borrow)]
        output: Option<&'a RawValue>,
    }

    let mut syntax = Table::new(
        "Envelope over serde_json::from_slice::<IgnoredAny>",
        "envelope | syntax | ratio",
    );
    let mut rows = Vec::new();
    for (name, body) in bodies(rounds) {
        let ways = [
            way(|| event(&body)),
            way(|| serde_json::from_slice::<IgnoredAny>(&body).expect("it is JSON")),
            way(|| serde_json::from_slice::<Envelope<'_>>(&body).is_ok()),
        ];
        let [ours, bare, raw] = rounds.medians(ways);
        let figures = format!("{} | {}", time(ours), time(bare));
        syntax.at_most(
            &format!("{name} {} B", body.len()),
            &figures,
            ours / bare,
            None,
        );
        rows.push((name, ours, raw));
    }
    let mut derived = Table::new(
        "Envelope over a derived one with a RawValue",
        "envelope | derived | ratio",
    );
    for (name, ours, raw) in rows {
        let figures = format!("{} | {}", time(ours), time(raw));
        derived.at_most(name, &figures, ours / raw, None);
    }
}

/// The speed of typed output over that of an exact struct of Strings.
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

/// The speed of typed output over that of sonic-rs into the same types.
pub(crate) fn sonic(rounds: Rounds) {
    let mut table = Table::new(
        "Speed of typed output over sonic-rs into the same types",
        "sonic-rs | typed | speed",
    );
    for (name, body) in diarizations(rounds) {
        let json = bodies::output_of(&body);
        let sonic = |()| sonic_rs::from_slice::<Diarization>(&json).expect("it is one");
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
    WebhookEvent::new(body.clone(), Delivery::at(then())).expect("it is one")
}

fn typed_of(event: WebhookEvent) -> WebhookEvent {
    let output = event.output().and_then(|output| output.as_diarization());
    assert!(output.is_some(), "it is a diarization");
    event
}

fn exact<T: serde::de::DeserializeOwned>(json: &[u8]) -> T {
    serde_json::from_slice(json).expect("it fits")
}
