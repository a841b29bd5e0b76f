//! How values of each shape are read, against the naive way to type an output.

use proptest::prelude::*;
use serde::{
    Deserialize,
    de::{
        DeserializeOwned,
        value::{MapDeserializer, SeqDeserializer},
    },
};
use serde_json::{Error, Value, json};
use tower_pyannote::{
    Diarization,
    event::{LabelMap, ScoreCurve, Segment, Turn, Turns},
};

use tower_pyannote_naive as naive;

use crate::with_output;

/// Reads one value alone.
fn read<T: DeserializeOwned>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// Asserts that an output is typed as the naive way types it.
fn agrees(output: &str) {
    let value: Value = serde_json::from_str(output).expect(output);
    let event = with_output(output);
    let typed = event.output().map(naive::written);
    let expected = (!value.is_null()).then(|| naive::typed(&value));
    assert_eq!(typed, expected, "{output}");
}

fn turns_agree(turns: &str) {
    agrees(&format!(r#"{{"diarization":{turns}}}"#));
}

fn turn_agrees(turn: &str) {
    turns_agree(&format!("[{turn}]"));
}

fn curve_agrees(curve: &str) {
    agrees(&format!(r#"{{"diarization":[],"confidence":{curve}}}"#));
}

#[test]
fn blanks_are_allowed_everywhere() {
    let json = "{ \"speaker\" :\r\n\t\"SPEAKER_01\" , \"start\" : 1 , \"confidence\" : { \"A\" : 2 } , \"end\":3 }";
    let mut turn = Turn::new("SPEAKER_01", 1.0, 3.0);
    turn.confidence = [("A", 2.0)].into_iter().collect();
    assert_eq!(read::<Turn>(json), Some(turn));
    assert_eq!(read::<Turns>(" [ ] "), Some(Turns::default()));
    assert_eq!(read::<Turns>("[\n null , null\n]"), Some(Turns::default()));
}

#[test]
fn escaped_keys_and_strings_are_read() {
    let json = r#"{"sp\u0065aker": "Zo\u00eb \"\\\/\b\f\n\r\t\ud83d\ude00", "end": 2}"#;
    let turn = read::<Turn>(json).unwrap();
    assert_eq!(turn.speaker, "Zoë \"\\/\u{8}\u{c}\n\r\t😀");
    assert_eq!(turn.end, 2.0);
}

#[test]
fn half_surrogate_pairs_are_replaced() {
    let json = r#"{"\ud800": 1, "text": "a\udc00b\ud800", "speaker": "\udfff"}"#;
    let segment = read::<Segment>(json).unwrap();
    assert_eq!(
        segment.text,
        "a\u{fffd}\u{fffd}\u{fffd}b\u{fffd}\u{fffd}\u{fffd}"
    );
    assert!(segment.speaker.starts_with('\u{fffd}'));
    assert_eq!(
        serde_json::from_str::<Turn>(r#"{"\ud800": 1, "end": 2}"#)
            .unwrap()
            .end,
        2.0
    );
}

#[test]
fn unknown_values_of_any_shape_are_skipped() {
    let values = [
        "null",
        "true",
        "-1.5e9",
        r#""a\"]}\\""#,
        "[]",
        "{}",
        r#"[[],{"]":"[{\"","b":[1,{}]} , 2 ]"#,
        r#""\ud800""#,
        "1e999",
    ];
    for value in values {
        let json = format!(r#"{{"new": {value}, "end": 2 , "newer" :{value} }}"#);
        assert_eq!(
            read::<Turn>(&json).map(|turn| turn.end),
            Some(2.0),
            "{value}"
        );
        // A Value holds neither half a surrogate pair nor a number out of range.
        if serde_json::from_str::<Value>(value).is_ok() {
            turn_agrees(&json);
        }
    }
    let deep = format!(
        r#"{{"new": {}1{}, "end": 2}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(read::<Turn>(&deep).map(|turn| turn.end), Some(2.0));
}

#[test]
fn unexpected_shapes_are_none() {
    let turns = [
        "null",
        "1",
        r#""a""#,
        "[]",
        r#"{"speaker": 1}"#,
        r#"{"speaker": ["a"]}"#,
        r#"{"start": "1"}"#,
        r#"{"start": true}"#,
        r#"{"end": {}}"#,
        r#"{"end": 1e999}"#,
        r#"{"confidence": []}"#,
        r#"{"confidence": {"a": "b"}}"#,
        r#"{"confidence": 5}"#,
    ];
    for json in turns {
        assert!(read::<Turn>(json).is_none(), "{json}");
        if serde_json::from_str::<Value>(json).is_ok() {
            turn_agrees(json);
        }
    }
}

#[test]
fn value_of_another_shape_counts_only_if_it_is_the_last_of_its_key() {
    let turn = Turn::new("SPEAKER_00", 0.5, 7.04);
    for json in [
        r#"{"speaker":[{}],"speaker":"SPEAKER_00","start":0.5,"end":"x","end":7.04}"#,
        r#"{"end":"}\\\"","start":{"a":[1]},"speaker":"SPEAKER_00","end":7.04,"start":0.5}"#,
        r#"{"end":true,"end":[],"end" : {} , "end":7.04,"start":0.5,"speaker":"SPEAKER_00"}"#,
    ] {
        assert_eq!(read::<Turn>(json), Some(turn.clone()), "{json}");
    }
    assert_eq!(read::<Turn>(r#"{"end":7.04,"end":"x"}"#), None);
    assert_eq!(read::<Turn>(r#"{"end":"x","end":7.04,"end":"x"}"#), None);
    let null_last = read::<Turn>(r#"{"end":7.04,"end":"x","end":null}"#);
    assert!(null_last.is_some_and(|turn| turn.end.is_nan()));
}

#[test]
fn last_of_equal_labels_counts_even_if_it_is_null_or_of_another_shape() {
    let map = |json| {
        let turn = read::<Turn>(&format!(r#"{{"confidence":{json}}}"#));
        turn.map(|turn| turn.confidence)
    };
    let only_b = LabelMap::from_iter([("B", 2.0)]);
    assert_eq!(map(r#"{"A":1,"B":"x","A":null,"B":2}"#), Some(only_b));
    assert_eq!(
        map(r#"{"A":null,"A":1}"#),
        Some(LabelMap::from_iter([("A", 1.0)]))
    );
    assert_eq!(map(r#"{"A":1,"A":"x"}"#), None);
}

#[test]
fn scores_of_any_length_are_read() {
    let scores = [
        "0", "9", "10", "99", "100", "999", "1000", "12345", "-3", "1.5", "0.25", "1e2", "null",
        " 7", "7 ",
    ];
    for first in scores {
        for second in scores {
            for third in scores {
                curve_agrees(&format!("{{\"score\":[{first},{second},{third}]}}"));
            }
        }
    }
    for other in ["\"7\"", "[7]", "true", "{}"] {
        curve_agrees(&format!("{{\"score\":[1,10,{other},100]}}"));
    }
    assert_eq!(read::<ScoreCurve>("{\"score\":[1,"), None);
}

#[test]
fn each_map_has_its_own_labels() {
    let labels = [
        "A",
        "B",
        "Ab",
        "\\u0041",
        "SPEAKER_00",
        "SPEAKER_000",
        "é",
        "",
    ];
    let map = |labels: &[&str]| {
        let entries = labels.iter().enumerate();
        let entries = entries.map(|(value, label)| format!("\"{label}\":{value}"));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
    };
    let turn = |confidence: String| format!("{{\"speaker\":\"A\",\"confidence\":{confidence}}}");
    for first in labels {
        for second in labels {
            let maps = [
                map(&[first, second]),
                map(&[second, first]),
                map(&[second]),
                map(&[]),
                map(&[first, second, "C"]),
                map(&[first, second])
                    .replace(':', " : ")
                    .replace(',', " , "),
                map(&[first, "C", second]),
            ];
            turns_agree(&format!("[{}]", maps.map(turn).join(",")));
        }
    }
    let numbered: Vec<String> = (0..40).map(|number| format!("{number}")).collect();
    let mut many: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let once = map(&many);
    // 33 labels, of which the first two are equal.
    many[1] = "0";
    let twice = map(&many[..33]);
    for maps in [
        [&once, &once],
        [&twice, &twice],
        [&once, &twice],
        [&twice, &once],
    ] {
        turns_agree(&format!(
            "[{}]",
            maps.map(|map| turn(map.clone())).join(",")
        ));
    }
    turns_agree(&format!("[{0},{0}]", turn(map(&["A"; 100]))));
}

#[test]
fn maps_share_the_labels_of_the_map_before_if_they_are_the_same() {
    let map = |labels: &str| format!("{{\"confidence\":{{{labels}}}}}");
    let maps = [
        r#""A":1,"B":2"#,
        r#""A":3,"B":4"#,
        r#""A":5"#,
        r#""A":6"#,
        r#""B":7"#,
        "",
        r#""B":null,"A":8"#,
        r#""B":9,"A":10"#,
    ];
    let json = format!("[{}]", maps.map(map).join(","));
    let turns = read::<Turns>(&json).unwrap();
    let shares = |first: usize, second: usize| {
        let [mut first, mut second] = [first, second].map(|index| turns[index].confidence.keys());
        std::ptr::eq(first.next().unwrap(), second.next().unwrap())
    };
    assert!((1..4).all(|later| shares(0, later)));
    assert!(!shares(3, 4) && !shares(6, 7));
    turns_agree(&json);
}

/// Values of another shape are read a fixed number of times, so this ends soon.
#[test]
fn a_hundred_thousand_values_of_another_shape_are_passed_over() {
    let odd = |count| r#""A":"x","end":[[]],"#.repeat(count);
    let (few, many) = (odd(100), odd(100_000));
    let turn = read::<Turn>(&format!(
        r#"{{"confidence":{{{few}"A":1,"end":2}},{many}"end":7}}"#
    ));
    assert!(turn.is_some_and(|turn| turn.end == 7.0 && turn.confidence.len() == 2));
}

#[test]
fn types_deserialize_from_buffers_and_other_formats() {
    #[derive(Deserialize)]
    struct Flat {
        new: u8,
        #[serde(flatten)]
        turn: Turn,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(untagged)]
    enum Either {
        Turns(Turns),
        Turn(Turn),
    }

    let value = json!({"new": 1, "speaker": "A", "start": 0.5, "end": 2, "confidence": {"A": 9.5}});
    let text = value.to_string();
    let mut turn = Turn::new("A", 0.5, 2.0);
    turn.confidence = [("A", 9.5)].into_iter().collect();

    let flat: Flat = serde_json::from_str(&text).unwrap();
    assert_eq!((flat.new, flat.turn), (1, turn.clone()));
    let either: Either = serde_json::from_str(&text).unwrap();
    assert_eq!(either, Either::Turn(turn.clone()));
    assert_eq!(
        serde_json::from_reader::<_, Turn>(text.as_bytes()).unwrap(),
        turn
    );
    assert_eq!(serde_json::from_value::<Turn>(value.clone()).unwrap(), turn);

    let fields = value.as_object().unwrap().clone().into_iter();
    let map = MapDeserializer::<_, Error>::new(fields);
    assert_eq!(Turn::deserialize(map).unwrap(), turn);
    let items = [value.clone(), Value::Null].into_iter();
    let list = SeqDeserializer::<_, Error>::new(items);
    assert_eq!(Turns::deserialize(list).unwrap(), Turns::from(vec![turn]));
}

#[test]
fn deserialize_names_the_type_that_a_value_does_not_fit() {
    for json in [r#"{"diarization":5}"#, "[]", "null"] {
        let error = serde_json::from_str::<Diarization>(json).unwrap_err();
        assert!(error.is_data(), "{json}");
        let text = error.to_string();
        assert!(
            text.starts_with("a value does not fit a Diarization"),
            "{text}"
        );
    }
    assert!(serde_json::from_str::<Turns>("[{}").unwrap_err().is_eof());
    assert!(
        serde_json::from_str::<Turns>("[{]")
            .unwrap_err()
            .is_syntax()
    );
}

#[test]
fn maps_deserialize_with_values_of_any_type() {
    let map: LabelMap<String> = serde_json::from_str(r#"{"b":"x","a":null,"b":"\u00e9"}"#).unwrap();
    assert_eq!(map, LabelMap::from_iter([("b", "é".to_owned())]));
    assert!(serde_json::from_str::<LabelMap<String>>(r#"{"b":1}"#).is_err());
    assert!(serde_json::from_str::<LabelMap<Vec<f32>>>(r#"{"b":[null]}"#).is_err());
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        (-100_000..100_000).prop_map(|cents| (f64::from(cents) / 100.0).into()),
        any::<String>().prop_map(Into::into),
    ];
    let key = prop_oneof![
        prop::sample::select(KEYS).prop_map(str::to_owned),
        any::<String>(),
    ];
    leaf.prop_recursive(5, 60, 6, move |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((key.clone(), value), 0..6)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

const KEYS: &[&str] = &[
    "speaker",
    "start",
    "end",
    "text",
    "confidence",
    "score",
    "resolution",
    "diarization",
    "identification",
    "voiceprints",
    "match",
    "diarizationSpeaker",
    "voiceprint",
    "warning",
    "error",
    "wordLevelTranscription",
    "speakerProbability",
    "speechProbability",
    "SPEAKER_00",
];

proptest! {
    #[test]
    fn any_json_is_typed_as_the_naive_way_types_it(value in any_json(), pretty in any::<bool>()) {
        let json = if pretty { format!("{value:#}") } else { value.to_string() };
        agrees(&json);
        turn_agrees(&json);
        turn_agrees(&format!(r#"{{"confidence":{json}}}"#));
        turn_agrees(&format!(r#"{{"speaker":{json}}}"#));
        curve_agrees(&json);
        agrees(&format!(r#"{{"diarization":[],"wordLevelTranscription":[{json}]}}"#));
        agrees(&format!(r#"{{"identification":[{json}]}}"#));
        agrees(&format!(r#"{{"voiceprints":[{json}]}}"#));
        agrees(&format!(r#"{{"voiceprint":"A","warning":{json}}}"#));
    }
}
