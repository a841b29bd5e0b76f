//! The memory limit of typing: four bytes for each byte of the output, and 64 KiB.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};
use tower_pyannote::{
    Kind, Output, WebhookEvent,
    event::{Label, LabelMap, Transcript, Turns, UnknownReason},
    testing::EventBuilder,
};

use crate::{event, with_output};

fn reason(event: &WebhookEvent) -> Option<UnknownReason> {
    let unknown = event.output().and_then(Output::as_unknown)?;
    Some(unknown.reason())
}

fn many(count: usize, item: impl Fn(usize) -> String) -> String {
    let items: Vec<String> = (0..count).map(item).collect();
    items.join(",")
}

#[test]
fn outputs_over_the_memory_limit_are_unknown() {
    type Item = fn(usize) -> String;
    let bodies: [(&str, &str, Item, &str); 12] = [
        ("empty turns", r#"{"diarization":["#, |_| "{}".into(), "]}"),
        (
            "empty words",
            r#"{"diarization":[],"wordLevelTranscription":["#,
            |_| "{}".into(),
            "]}",
        ),
        (
            "empty identified turns",
            r#"{"identification":["#,
            |_| "{}".into(),
            "]}",
        ),
        (
            "empty matches",
            r#"{"voiceprints":["#,
            |_| "{}".into(),
            "]}",
        ),
        (
            "empty maps",
            r#"{"voiceprints":["#,
            |_| r#"{"confidence":{}}"#.into(),
            "]}",
        ),
        (
            "turns of empty strings",
            r#"{"diarization":["#,
            |_| r#"{"speaker":""}"#.into(),
            "]}",
        ),
        (
            "short labels",
            r#"{"identification":["#,
            |_| r#"{"speaker":"x","match":"y"}"#.into(),
            "]}",
        ),
        (
            "maps of other labels",
            r#"{"voiceprints":["#,
            |number| format!(r#"{{"confidence":{{"{}":0}}}}"#, number % 7),
            "]}",
        ),
        (
            "labels of one map",
            r#"{"diarization":[{"confidence":{"#,
            |number| format!(r#""{number}":0"#),
            "}}]}",
        ),
        (
            "nulls of one map",
            r#"{"diarization":[{"confidence":{"#,
            |number| format!(r#""{number}":null"#),
            "}}]}",
        ),
        (
            "curves without scores",
            r#"{"diarization":[],"speakerProbability":{"score":{"#,
            |number| format!(r#""{number}":[]"#),
            "}}}",
        ),
        (
            "curves of one score",
            r#"{"diarization":[],"speakerProbability":{"score":{"#,
            |number| format!(r#""{number}":[0]"#),
            "}}}",
        ),
    ];
    for (name, open, item, close) in bodies {
        let output = |count| with_output(&format!("{open}{}{close}", many(count, item)));
        assert_eq!(reason(&output(30)), None, "{name}");
        let large = output(100_000);
        assert_eq!(reason(&large), Some(UnknownReason::TooLarge), "{name}");
        assert_ne!(large.kind(), Some(Kind::Unknown), "{name}");
    }
}

#[test]
fn unknown_output_has_a_reason_and_its_whole_text() {
    let turns = format!(r#"{{"diarization":[{}]}}"#, many(100_000, |_| "{}".into()));
    let outputs = [
        (
            r#"{"grown":1}"#,
            UnknownReason::Kind,
            "its keys belong to no known kind",
        ),
        (
            r#"{"diarization":[1]}"#,
            UnknownReason::Shape,
            "a value has another shape than its kind allows",
        ),
        (
            &turns,
            UnknownReason::TooLarge,
            "the typed output would take too much memory for its length",
        ),
    ];
    for (json, expected, text) in outputs {
        let event = with_output(json);
        let unknown = event.output().and_then(Output::as_unknown).unwrap();
        assert_eq!((unknown.reason(), unknown.json()), (expected, json));
        assert_eq!(expected.to_string(), text);
    }
}

/// Each byte of text raises the limit for the values after it.
#[test]
fn a_long_text_raises_the_limit_for_the_turns_after_it() {
    let padded = |padding: usize, turns: usize| {
        let padding = "x".repeat(padding);
        let turns = many(turns, |_| "{}".into());
        with_output(&format!(
            r#"{{"grown":"{padding}","diarization":[{turns}]}}"#
        ))
    };
    assert_eq!(reason(&padded(4_000_000, 100_000)), None);
    assert_eq!(
        reason(&padded(1_000_000, 100_000)),
        Some(UnknownReason::TooLarge)
    );
}

/// These are as short as pyannoteAI could write them.
#[test]
fn the_shortest_documented_outputs_are_typed() {
    let score = |score: &'static str| move |_| score.to_owned();
    let turn = |number: usize| {
        format!(
            r#"{{"speaker":"SPEAKER_0{}","start":0,"end":1}}"#,
            number % 10
        )
    };
    let word = |number: usize| {
        format!(
            r#"{{"start":0,"end":1,"text":"I","speaker":"SPEAKER_0{}"}}"#,
            number % 10
        )
    };
    let escaped = |number: usize| {
        format!(
            r#"{{"start":0,"end":1,"text":"{}","speaker":"SPEAKER_0{}"}}"#,
            r"\u4f60\u597d".repeat(20),
            number % 10
        )
    };
    let identified = |number: usize| {
        format!(
            r#"{{"speaker":"A{0}","start":0,"end":1,"diarizationSpeaker":"SPEAKER_00","match":"A{0}"}}"#,
            number % 10
        )
    };
    let matched =
        |_| r#"{"diarizationSpeaker":"SPEAKER_00","start":0,"end":1,"match":null}"#.to_owned();
    let labels = |from: usize, score: &str| {
        many(50, |number| {
            format!(r#""{}":{score}"#, (number + from) % 50)
        })
    };
    let confident = |number: usize| {
        format!(
            r#"{{"speaker":"SPEAKER_00","start":0,"end":1,"confidence":{{"SPEAKER_0{}":5,"SPEAKER_1{0}":5}}}}"#,
            number % 10
        )
    };
    let absent = |_| {
        r#"{"speaker":"SPEAKER_00","start":0,"end":1,"confidence":{"SPEAKER_00":5,"SPEAKER_01":null}}"#.to_owned()
    };
    let fifty = |_| {
        format!(
            r#"{{"speaker":"A","start":0,"end":1,"diarizationSpeaker":"SPEAKER_00","match":"A","confidence":{{{}}}}}"#,
            labels(0, "0")
        )
    };
    let rotated = |number: usize| {
        format!(
            r#"{{"speaker":"SPEAKER_00","match":"A","confidence":{{{}}}}}"#,
            labels(number, "10.25")
        )
    };
    let outputs = [
        (
            "silence",
            r#"{"diarization":[],"confidence":{"score":["#,
            many(500_000, score("0")),
            r#"],"resolution":0.02}}"#,
        ),
        (
            "no scores",
            r#"{"diarization":[],"confidence":{"score":["#,
            many(500_000, score("null")),
            r#"],"resolution":0.02}}"#,
        ),
        (
            "silent speakers",
            r#"{"diarization":[],"speakerProbability":{"score":{"#,
            many(20, |number| {
                format!(r#""SPEAKER_{:02}":[{}]"#, number, many(50_000, score("0")))
            }),
            r#"},"resolution":0.02}}"#,
        ),
        ("turns", r#"{"diarization":["#, many(30_000, turn), "]}"),
        (
            "turns and exclusive ones",
            r#"{"exclusiveDiarization":[{}],"diarization":["#,
            many(30_000, turn),
            "]}",
        ),
        (
            "turns with confidence",
            r#"{"diarization":["#,
            many(20_000, confident),
            "]}",
        ),
        (
            "turns with a null confidence",
            r#"{"diarization":["#,
            many(20_000, absent),
            "]}",
        ),
        (
            "words",
            r#"{"diarization":[],"wordLevelTranscription":["#,
            many(30_000, word),
            "]}",
        ),
        (
            "escaped text",
            r#"{"diarization":[],"turnLevelTranscription":["#,
            many(5_000, escaped),
            "]}",
        ),
        (
            "identified turns",
            r#"{"identification":["#,
            many(20_000, identified),
            "]}",
        ),
        (
            "unidentified turns",
            r#"{"identification":["#,
            many(20_000, matched),
            "]}",
        ),
        (
            "turns with fifty labels",
            r#"{"identification":["#,
            many(3_000, fifty),
            "]}",
        ),
        (
            "fifty voiceprints",
            r#"{"voiceprints":["#,
            many(50, rotated),
            "]}",
        ),
    ];
    for (name, open, items, close) in outputs {
        assert_eq!(
            reason(&with_output(&format!("{open}{items}{close}"))),
            None,
            "{name}"
        );
    }
}

#[test]
fn a_day_of_everything_is_typed() {
    let day = |builder: EventBuilder| {
        builder
            .with_duration(Duration::from_secs(24 * 3_600))
            .unwrap()
    };
    let diarization = EventBuilder::diarization()
        .with_speakers(2)
        .with_words(true)
        .with_turn_confidence(true)
        .with_confidence(true);
    let names = (0..50).map(|number| format!("name {number}"));
    let identification = EventBuilder::identification()
        .with_speakers(10)
        .with_labels(names)
        .with_turn_confidence(true);
    for (kind, builder) in [
        (Kind::Diarization, diarization),
        (Kind::Identification, identification),
    ] {
        let event = event(day(builder).build());
        assert_eq!(
            event.output().map(Output::kind),
            Some(kind),
            "{:?}",
            reason(&event)
        );
    }
}

/// Returns the least heap that a typed output takes, without shared labels.
fn heap(output: &Output) -> usize {
    fn label(label: &Label) -> usize {
        match label.strip_prefix("SPEAKER_") {
            Some(number) if number.len() == 2 => 0,
            _ => label.len(),
        }
    }
    fn map<V>(map: &LabelMap<V>) -> usize {
        match map.len() {
            0..=4 => 0,
            len => len * size_of::<V>(),
        }
    }
    fn turns(turns: &Turns) -> usize {
        let own = turns
            .iter()
            .map(|turn| label(&turn.speaker) + map(&turn.confidence));
        size_of_val(&turns[..]) + own.sum::<usize>()
    }
    fn words(words: &Transcript) -> usize {
        let own = words
            .iter()
            .map(|word| label(&word.speaker) + word.text.len().saturating_sub(23));
        size_of_val(&words[..]) + own.sum::<usize>()
    }
    match output {
        Output::Diarization(output) => {
            let curves = output
                .speaker_probability
                .iter()
                .flat_map(|curves| curves.score.values());
            turns(&output.diarization)
                + turns(&output.exclusive_diarization)
                + words(&output.word_level_transcription)
                + words(&output.turn_level_transcription)
                + output
                    .confidence
                    .as_ref()
                    .map_or(0, |curve| size_of_val(&curve.score[..]))
                + output
                    .speaker_probability
                    .as_ref()
                    .map_or(0, |curves| map(&curves.score))
                + curves.map(|scores| size_of_val(&scores[..])).sum::<usize>()
        }
        Output::Identification(output) => {
            let own = output.identification.iter().map(|turn| {
                turn.speaker.as_ref().map_or(0, label)
                    + turn.matched.as_ref().map_or(0, label)
                    + map(&turn.confidence)
            });
            let matches = output
                .voiceprints
                .iter()
                .map(|found| map(&found.confidence));
            turns(&output.diarization)
                + turns(&output.exclusive_diarization)
                + size_of_val(&output.identification[..])
                + own.sum::<usize>()
                + size_of_val(&output.voiceprints[..])
                + matches.sum::<usize>()
        }
        _ => 0,
    }
}

/// A field of a diarization or an identification with many equal items.
fn field() -> impl Strategy<Value = String> {
    let of = |keys: &[&'static str], items: &[&'static str]| {
        (
            select(keys.to_vec()),
            select(items.to_vec()),
            0..20_000_usize,
        )
    };
    let list = |(key, item, count): (&str, &str, usize)| {
        format!(r#""{key}":[{}]"#, many(count, |_| item.into()))
    };
    let turns = of(
        &[
            "diarization",
            "exclusiveDiarization",
            "identification",
            "voiceprints",
        ],
        &[
            "{}",
            "null",
            r#"{"speaker":"x"}"#,
            r#"{"speaker":"SPEAKER_01","start":0,"end":1}"#,
            r#"{"confidence":{"a":1,"b":2,"c":3,"d":4,"e":5}}"#,
        ],
    );
    let words = of(
        &["wordLevelTranscription", "turnLevelTranscription"],
        &[
            "{}",
            r#"{"text":"twenty-four bytes of it."}"#,
            r#"{"text":"\u00e9"}"#,
        ],
    );
    let curves = of(
        &["speakerProbability"],
        &["[]", "[0]", "[0,0,0,0,0,0,null]"],
    );
    let curves = curves.prop_map(|(key, scores, count)| {
        let curves = many(count, |number| format!(r#""{number}":{scores}"#));
        format!(r#""{key}":{{"score":{{{curves}}}}}"#)
    });
    let curve = of(&["confidence"], &["0", "100", "null"]);
    let curve = curve.prop_map(|(key, score, count)| {
        format!(r#""{key}":{{"score":[{}]}}"#, many(count, |_| score.into()))
    });
    let padding =
        (0..200_000_usize).prop_map(|count| format!(r#""grown":"{}""#, "x".repeat(count)));
    prop_oneof![
        turns.prop_map(list),
        words.prop_map(list),
        curves,
        curve,
        padding
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn typed_output_stays_within_the_memory_limit(fields in vec(field(), 1..5)) {
        let output = format!(r#"{{"diarization":[],{}}}"#, fields.join(","));
        let event = with_output(&output);
        let most = 4 * output.len() + (64 << 10);
        prop_assert!(event.output().is_none_or(|typed| heap(typed) <= most), "{:.200}", output);
    }
}
