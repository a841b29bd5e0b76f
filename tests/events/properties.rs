use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::select};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tower_pyannote::{
    Output,
    event::{EventError, LabelMap, Segment, Transcript, Turn, Turns},
};

use tower_pyannote_naive as naive;

use crate::{try_event, with_output};

fn label() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..120_u8).prop_map(|number| format!("SPEAKER_{number:02}")),
        1 => "[A-C]{0,2}",
        1 => any::<String>(),
    ]
}

/// Mostly the wanted value, sometimes null, rarely any other value.
fn loosely(wanted: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<Value> {
    let anything = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        Just(json!([])),
        Just(json!({})),
        Just(json!([{}])),
    ];
    prop_oneof![60 => wanted, 4 => Just(Value::Null), 1 => anything].boxed()
}

/// An object with some of these fields.
fn object(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    let fields = fields.into_iter().map(|(key, value)| {
        prop::option::weighted(0.8, value).prop_map(move |value| Some((key.to_owned(), value?)))
    });
    fields
        .collect::<Vec<_>>()
        .prop_map(|fields| Value::Object(fields.into_iter().flatten().collect()))
        .boxed()
}

fn time() -> BoxedStrategy<Value> {
    loosely(prop_oneof![
        (0..8_640_000_u32).prop_map(|centis| json!(f64::from(centis) / 100.0)),
        (0..86_400_u32).prop_map(Value::from),
    ])
}

fn score() -> BoxedStrategy<Value> {
    loosely(prop_oneof![
        (0..=100_u8).prop_map(Value::from),
        (0..=10_000_u32).prop_map(|centis| json!(f64::from(centis) / 100.0)),
    ])
}

fn string() -> BoxedStrategy<Value> {
    loosely(label().prop_map(Value::from))
}

fn list(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    loosely(vec(loosely(item), 0..5).prop_map(Value::from))
}

fn labelled(item: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let entries = vec((label(), item), 0..4);
    loosely(entries.prop_map(|entries| Value::Object(entries.into_iter().collect())))
}

fn output() -> BoxedStrategy<Value> {
    let turn = || {
        object(vec![
            ("speaker", string()),
            ("start", time()),
            ("end", time()),
            ("confidence", labelled(score())),
            ("new", score()),
        ])
    };
    let segment = || {
        object(vec![
            ("speaker", string()),
            ("start", time()),
            ("end", time()),
            ("text", string()),
        ])
    };
    let curve = || {
        loosely(object(vec![
            ("score", list(score())),
            ("resolution", time()),
        ]))
    };
    let both = move || {
        vec![
            ("diarization", list(turn())),
            ("confidence", curve()),
            ("speechProbability", curve()),
            ("crosstalkProbability", curve()),
            (
                "speakerProbability",
                loosely(object(vec![
                    ("score", labelled(list(score()))),
                    ("resolution", time()),
                ])),
            ),
            ("warning", string()),
            ("error", string()),
            ("new", curve()),
        ]
    };
    let mut diarization = both();
    diarization.extend([
        ("exclusiveDiarization", list(turn())),
        ("wordLevelTranscription", list(segment())),
        ("turnLevelTranscription", list(segment())),
    ]);
    let mut identification = both();
    identification.extend([
        ("exclusiveDiarization", list(turn())),
        (
            "identification",
            list(object(vec![
                ("speaker", string()),
                ("start", time()),
                ("end", time()),
                ("confidence", labelled(score())),
                ("diarizationSpeaker", string()),
                ("match", string()),
            ])),
        ),
        (
            "voiceprints",
            list(object(vec![
                ("speaker", string()),
                ("match", string()),
                ("confidence", labelled(score())),
            ])),
        ),
    ]);
    let voiceprint = vec![
        ("voiceprint", string()),
        ("warning", string()),
        ("error", string()),
    ];
    prop_oneof![
        5 => object(diarization),
        5 => object(identification),
        1 => object(voiceprint),
        1 => curve(),
    ]
    .boxed()
}

fn body() -> impl Strategy<Value = String> {
    (string(), string(), output(), any::<bool>()).prop_map(|(job_id, status, output, pretty)| {
        let body = json!({"jobId": job_id, "status": status, "output": output, "new": [1.5, "\n"]});
        if pretty {
            format!("{body:#}")
        } else {
            body.to_string()
        }
    })
}

/// Writes a value. Before some of the values in its objects, the same key has another value.
fn with_decoys<'a>(value: &Value, decoys: &mut impl Iterator<Item = Option<&'a str>>) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| with_decoys(item, decoys)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let mut entries = Vec::new();
            for (key, field) in fields {
                let key = json!(key);
                entries.extend(
                    decoys
                        .next()
                        .flatten()
                        .map(|decoy| format!("{key}:{decoy}")),
                );
                entries.push(format!("{key}:{}", with_decoys(field, decoys)));
            }
            format!("{{{}}}", entries.join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// A body with a few bytes changed, inserted or removed.
fn broken_body() -> impl Strategy<Value = Vec<u8>> {
    let bytes = prop_oneof![
        select(b"{}[]\",:\\u09.eE-+ntfd8\n\x00\x1f\x7f\xff\xc3 ".to_vec()),
        any::<u8>(),
    ];
    let change = (any::<prop::sample::Index>(), 0..3_u8, bytes);
    (body(), vec(change, 0..4)).prop_map(|(body, changes)| {
        let mut body = body.into_bytes();
        for (index, change, byte) in changes {
            let index = index.index(body.len());
            match change {
                0 => body[index] = byte,
                1 => body.insert(index, byte),
                _ => drop(body.remove(index)),
            }
        }
        body
    })
}

const DECOYS: &[&str] = &[
    "null",
    "true",
    "-1.5e3",
    r#""]}\\\"""#,
    "[]",
    "{}",
    r#"[{"start":[]}]"#,
    r#"{"A":"}","A":[1,{}]}"#,
];

fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| serde_json::from_str::<IgnoredAny>(body).is_ok())
}

fn turns() -> impl Strategy<Value = Turns> {
    let turn =
        (select(vec!["A", "B", "C"]), 0..60_u8, 0..20_u8).prop_map(|(speaker, start, length)| {
            // Quarters of a second are exact in binary, so sums can be compared exactly.
            Turn::new(
                speaker,
                f64::from(start) / 4.0,
                f64::from(start + length) / 4.0,
            )
        });
    vec(turn, 0..12).prop_map(Turns::from)
}

/// Returns the speakers of each quarter of a second.
fn sampled(turns: &Turns) -> Vec<BTreeSet<&str>> {
    let speaking = |quarter: u8| {
        let middle = f64::from(quarter) / 4.0 + 0.125;
        let heard = turns
            .iter()
            .filter(|turn| turn.start < middle && middle < turn.end);
        heard.map(|turn| turn.speaker.as_str()).collect()
    };
    (0..100).map(speaking).collect()
}

fn seconds(quarters: usize) -> f64 {
    quarters as f64 / 4.0
}

fn any_time() -> impl Strategy<Value = f64> {
    prop_oneof![5 => 0.0..90_000.0, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}

fn transcript() -> impl Strategy<Value = Transcript> {
    let marks = "[-<>&;a\n\r \u{85}\u{2028}\u{0}0-9:,.{}]{0,12}";
    let text = prop_oneof![any::<String>(), marks];
    let segment = (label(), any_time(), any_time(), text)
        .prop_map(|(speaker, start, end, text)| Segment::new(speaker, start, end, text));
    vec(segment, 0..8).prop_map(Transcript::from)
}

fn folded(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    words
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the milliseconds of a time in the formats' notation.
fn clock(text: &str, point: char) -> Option<u64> {
    let (seconds, millis) = text.split_once(point)?;
    let parts: Vec<&str> = seconds.split(':').collect();
    let well_formed =
        parts.len() == 3 && parts.iter().all(|part| part.len() == 2) && millis.len() == 3;
    let parts: Vec<u64> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = parts[..] else {
        return None;
    };
    let millis: u64 = millis.parse().ok()?;
    (well_formed && minutes < 60 && seconds < 60)
        .then_some(((hours * 60 + minutes) * 60 + seconds) * 1_000 + millis)
}

fn times(line: &str, point: char) -> (u64, u64) {
    let (start, end) = line.split_once(" --> ").expect(line);
    (
        clock(start, point).expect(line),
        clock(end, point).expect(line),
    )
}

fn shown(transcript: &Transcript) -> usize {
    let millis = |seconds: f64| {
        (0.0..359_999.0)
            .contains(&seconds)
            .then(|| (seconds * 1e3).round())
    };
    let usable = |segment: &&Segment| {
        millis(segment.start)
            .zip(millis(segment.end))
            .is_some_and(|(start, end)| start < end)
            && !folded(&segment.text).is_empty()
    };
    transcript.iter().filter(usable).count()
}

proptest! {
    #[test]
    fn accepted_syntax_is_that_of_serde_json(body in broken_body()) {
        let refused = matches!(try_event(&body), Err(EventError::Syntax | EventError::NotUtf8));
        prop_assert_eq!(!refused, is_json(&body), "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn accepted_syntax_is_that_of_serde_json_for_any_bytes(body in vec(any::<u8>(), 0..40)) {
        let refused = matches!(try_event(&body), Err(EventError::Syntax | EventError::NotUtf8));
        prop_assert_eq!(!refused, is_json(&body));
    }

    #[test]
    fn envelope_has_the_fields_of_a_value(body in body()) {
        let value: Value = serde_json::from_str(&body).unwrap();
        match try_event(&body) {
            Ok(event) => {
                prop_assert_eq!(Some(event.job_id()), value["jobId"].as_str());
                if let Some(status) = value["status"].as_str() {
                    prop_assert_eq!(event.status().as_str(), status);
                }
                prop_assert_eq!(event.error(), value["output"]["error"].as_str());
                prop_assert_eq!(event.warning(), value["output"]["warning"].as_str());
                let kind = Some(naive::kind(&value["output"])).filter(|_| !value["output"].is_null());
                prop_assert_eq!(event.kind(), kind);
            }
            Err(error) => {
                prop_assert_eq!(error, EventError::MissingJobId);
                prop_assert!(value["jobId"].as_str().is_none_or(str::is_empty));
            }
        }
    }

    #[test]
    fn output_is_typed_as_the_naive_way_types_it(output in output(), pretty in any::<bool>()) {
        let json = if pretty { format!("{output:#}") } else { output.to_string() };
        let event = with_output(&json);
        match event.output() {
            Some(typed) => {
                prop_assert_eq!(naive::written(typed), naive::typed(&output));
                if let Output::Unknown(unknown) = typed {
                    prop_assert_eq!(unknown.json(), json);
                }
            }
            None => prop_assert!(output.is_null()),
        }
    }

    #[test]
    fn last_of_equal_keys_counts_whatever_the_first_value_is(
        output in output(),
        decoys in vec(prop::option::of(select(DECOYS)), 1..20),
    ) {
        let event = with_output(&with_decoys(&output, &mut decoys.into_iter().cycle()));
        let typed = event.output().map(naive::written);
        prop_assert_eq!(typed, Some(naive::typed(&output)).filter(|_| !output.is_null()));
    }

    #[test]
    fn serialized_output_is_read_unchanged(output in output()) {
        let event = with_output(&output.to_string());
        if let Some(typed) = event.output() {
            let (kind, written) = naive::written(typed);
            let again = with_output(&written.to_string());
            prop_assert_eq!(naive::written(again.output().unwrap()), (kind, written));
        }
    }

    #[test]
    fn deserialize_reads_the_same_as_the_event(output in output()) {
        let event = with_output(&output.to_string());
        let (_, written) = naive::written(event.output().unwrap_or(&Output::Voiceprint(Default::default())));
        match event.output() {
            Some(Output::Diarization(_)) => {
                let typed: tower_pyannote::Diarization = serde_json::from_value(output).unwrap();
                prop_assert_eq!(serde_json::to_value(typed).unwrap(), written);
            }
            Some(Output::Identification(_)) => {
                let typed: tower_pyannote::Identification = serde_json::from_value(output).unwrap();
                prop_assert_eq!(serde_json::to_value(typed).unwrap(), written);
            }
            _ => {}
        }
    }

    #[test]
    fn talk_times_are_those_of_sampling(turns in turns()) {
        let sampled = sampled(&turns);
        let mut quarters = BTreeMap::<&str, usize>::new();
        for speaker in sampled.iter().flatten() {
            *quarters.entry(speaker).or_default() += 1;
        }
        for speaker in ["A", "B", "C", "D"] {
            let expected = seconds(quarters.get(speaker).copied().unwrap_or_default());
            prop_assert_eq!(turns.talk_time_of(speaker), expected);
            prop_assert_eq!(turns.talk_times().get(speaker).copied().unwrap_or_default(), expected);
        }
        prop_assert_eq!(turns.talk_time(), seconds(quarters.values().sum()));
        let speech = sampled.iter().filter(|speakers| !speakers.is_empty()).count();
        prop_assert_eq!(turns.speech_time(), seconds(speech));
        let overlap = sampled.iter().filter(|speakers| speakers.len() >= 2).count();
        prop_assert_eq!(turns.overlap(), seconds(overlap));
        let last = turns.iter().filter(|turn| turn.end > turn.start).map(|turn| turn.end);
        prop_assert_eq!(turns.duration(), last.fold(0.0, f64::max));
        let speakers: BTreeSet<&str> = turns.speakers().into_iter().map(|label| label.as_str()).collect();
        prop_assert_eq!(speakers, turns.iter().map(|turn| turn.speaker.as_str()).collect());
    }

    #[test]
    fn between_is_what_sampling_finds(turns in turns(), start in 0..80_u8, length in 1..20_u8) {
        let range = f64::from(start) / 4.0..f64::from(start + length) / 4.0;
        let inside = |turn: &&Turn| (start..start + length).any(|quarter| {
            let middle = f64::from(quarter) / 4.0 + 0.125;
            turn.start < middle && middle < turn.end
        });
        let found = turns.between(range).filter(|turn| turn.end > turn.start);
        prop_assert_eq!(found.collect::<Vec<_>>(), turns.iter().filter(inside).collect::<Vec<_>>());
    }

    #[test]
    fn helpers_never_panic(times in vec((label(), any::<f64>(), any::<f64>()), 0..8), range in (any::<f64>(), any::<f64>())) {
        let turns: Turns = times.iter().map(|(label, start, end)| Turn::new(label.as_str(), *start, *end)).collect();
        prop_assert!(turns.overlap() >= 0.0 && turns.speech_time() >= 0.0 && turns.talk_time() >= 0.0);
        prop_assert!(turns.between(range.0..range.1).count() <= turns.len());
    }

    #[test]
    fn rttm_is_well_formed(times in vec((label(), any_time(), any_time()), 0..8), uri in any::<String>()) {
        let turns: Turns = times.iter().map(|(label, start, end)| Turn::new(label.as_str(), *start, *end)).collect();
        let rttm = turns.to_rttm(&uri);
        prop_assert!(rttm.is_empty() || rttm.ends_with('\n'));
        for line in rttm.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            prop_assert_eq!(fields.len(), 10, "{}", line);
            prop_assert_eq!(fields.join(" "), line);
            prop_assert_eq!((fields[0], fields[2]), ("SPEAKER", "1"));
            prop_assert!(fields[3].parse::<f64>().unwrap() >= 0.0);
            prop_assert!(fields[4].parse::<f64>().unwrap() > 0.0);
            prop_assert!(!line.chars().any(char::is_control));
        }
    }

    #[test]
    fn webvtt_is_well_formed(transcript in transcript()) {
        let vtt = transcript.to_webvtt();
        let cues = vtt.strip_prefix("WEBVTT\n").unwrap();
        let mut last = 0;
        let mut count = 0;
        for cue in cues.split_terminator("\n\n").flat_map(|cue| cue.split("\n\n")).filter(|cue| !cue.is_empty()) {
            let lines: Vec<&str> = cue.trim_matches('\n').split('\n').collect();
            let [timing, text] = lines[..] else { panic!("{lines:?}") };
            let (start, end) = times(timing, '.');
            prop_assert!(last <= start && start < end);
            last = start;
            count += 1;
            let text = match text.strip_prefix("<v ") {
                Some(voice) => voice.split_once('>').unwrap().1,
                None => text,
            };
            prop_assert!(!text.is_empty() && !text.contains(['<', '>']) && !text.chars().any(char::is_control));
            let entities = text.matches("&amp;").count() + text.matches("&lt;").count() + text.matches("&gt;").count();
            prop_assert_eq!(text.matches('&').count(), entities);
            let plain = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            prop_assert!(transcript.iter().any(|segment| folded(&segment.text) == plain));
        }
        prop_assert_eq!(count, shown(&transcript));
    }

    #[test]
    fn srt_is_well_formed(transcript in transcript()) {
        let srt = transcript.to_srt();
        let mut count = 0;
        for cue in srt.split("\n\n").filter(|cue| !cue.is_empty()) {
            let lines: Vec<&str> = cue.trim_end_matches('\n').split('\n').collect();
            let [number, timing, text] = lines[..] else { panic!("{lines:?}") };
            count += 1;
            prop_assert_eq!(number, count.to_string());
            let (start, end) = times(timing, ',');
            prop_assert!(start < end);
            prop_assert!(!text.is_empty() && !text.contains("-->") && !text.chars().any(char::is_control));
        }
        prop_assert_eq!(count, shown(&transcript));
    }

    #[test]
    fn label_map_is_a_map(entries in vec((label(), any::<u8>()), 0..60)) {
        let map: LabelMap<u8> = entries.iter().cloned().collect();
        let expected: BTreeMap<String, u8> = entries.into_iter().collect();
        let found = map.iter().map(|(label, value)| (label.to_string(), *value));
        prop_assert_eq!(found.collect::<BTreeMap<_, _>>(), expected.clone());
        prop_assert_eq!(map.len(), expected.len());
        prop_assert!(expected.iter().all(|(label, value)| map.get(label) == Some(value)));
    }
}
