use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::{
    Diarization, Identification, Label, LabelMap, ScoreCurve, Segment, Turn, Turns, Voiceprint,
    json::{self, Read, Reader},
};

fn read<T: Read<Label>>(json: &str) -> Option<T> {
    json::read(json).ok()
}

/// Asserts that the scanner reads what serde reads, and nothing where serde reads nothing.
fn same<T: Read<Label> + DeserializeOwned + std::fmt::Debug>(json: &str) {
    let by_serde = serde_json::from_str::<T>(json).ok();
    // NaN equals nothing, so what is compared is what `Debug` shows.
    assert_eq!(
        format!("{:?}", read::<T>(json)),
        format!("{by_serde:?}"),
        "{json}"
    );
}

fn same_number(json: &str) {
    let bits = |number: Option<f64>| number.map(f64::to_bits);
    assert_eq!(
        bits(read(json)),
        bits(serde_json::from_str(json).ok()),
        "{json}"
    );
    let bits = |number: Option<f32>| number.map(f32::to_bits);
    assert_eq!(
        bits(read(json)),
        bits(serde_json::from_str(json).ok()),
        "{json}"
    );
}

/// A value that is skipped.
struct Skipped;

impl Read<Label> for Skipped {
    fn read(json: &mut Reader<'_, Label>) -> Option<Self> {
        json.skip().map(|()| Self)
    }
}

#[test]
fn numbers_are_those_of_serde() {
    let numbers = [
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0.1",
        "34.27",
        "-5.25",
        "100",
        "123456789012345",
        "1234567890123456",
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "0.123456789012345",
        "0.1234567890123456",
        "12345678901234.5",
        "1.7976931348623157e308",
        "4.9e-324",
        "1e5",
        "1E5",
        "1e+5",
        "1.5e-5",
        "16777217",
        "3.4028236e38",
        "1e300",
        "1e999",
        "-1e999",
    ];
    numbers.into_iter().for_each(same_number);
    same_number(&"9".repeat(400));
    same_number(&format!("0.{}", "1".repeat(400)));
    same_number(&format!("{}.5", "1".repeat(300)));
}

#[test]
fn a_long_whole_number_is_rounded_as_a_short_one_is() {
    // Halfway between two f32 but for its last digit, which an f64 does not hold.
    for number in ["101893808425271297", "101893808425271297.0"] {
        let expected: f64 = serde_json::from_str(number).unwrap();
        assert_eq!(read::<f32>(number), Some(expected as f32), "{number}");
    }
}

#[test]
fn what_is_no_number_is_none() {
    for json in [
        r#""1""#,
        "true",
        "false",
        "[]",
        "[1]",
        "{}",
        r#"{"a": 1}"#,
        "null",
    ] {
        assert_eq!(read::<f64>(json), None, "{json}");
    }
}

#[test]
fn blanks_may_stand_everywhere() {
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
fn lone_surrogates_are_replaced() {
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
        same::<Turn>(&json);
    }
    let deep = format!(
        r#"{{"new": {}1{}, "end": 2}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert_eq!(read::<Turn>(&deep).map(|turn| turn.end), Some(2.0));
}

#[test]
fn unforeseen_shapes_are_none() {
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
        same::<Turn>(json);
    }
}

#[test]
fn value_of_another_shape_counts_only_where_it_is_the_last_of_its_key() {
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
fn last_of_equal_labels_counts_if_it_is_null_or_of_another_shape_too() {
    let map = |json| read::<LabelMap<f32>>(json);
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
                same::<ScoreCurve>(&format!("{{\"score\":[{first},{second},{third}]}}"));
            }
        }
    }
    for other in ["\"7\"", "[7]", "true", "{}"] {
        same::<ScoreCurve>(&format!("{{\"score\":[1,10,{other},100]}}"));
    }
    assert_eq!(read::<ScoreCurve>("{\"score\":[1,"), None);
}

#[test]
fn maps_after_one_another_have_each_their_own_labels() {
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
            same::<Turns>(&format!("[{}]", maps.map(turn).join(",")));
        }
    }
    let numbered: Vec<String> = (0..40).map(|number| format!("{number}")).collect();
    let mut many: Vec<&str> = numbered.iter().map(String::as_str).collect();
    let once = map(&many);
    // As many labels as are kept of a map, but not those that stand in it first.
    many[1] = "0";
    let twice = map(&many[..33]);
    for maps in [
        [&once, &once],
        [&twice, &twice],
        [&once, &twice],
        [&twice, &once],
    ] {
        same::<Turns>(&format!(
            "[{}]",
            maps.map(|map| turn(map.clone())).join(",")
        ));
    }
    same::<Turns>(&format!("[{0},{0}]", turn(map(&["A"; 100]))));
}

#[test]
fn maps_share_the_labels_of_the_one_before_as_far_as_these_are_the_same() {
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
    same::<Turns>(&json);
}

/// What is passed over is read a fixed number of times, whatever it holds.
#[test]
fn a_hundred_thousand_values_of_another_shape_are_passed_over() {
    let odd = |count| r#""A":"x","end":[[]],"#.repeat(count);
    let (few, many) = (odd(100), odd(100_000));
    let turn = read::<Turn>(&format!(
        r#"{{"confidence":{{{few}"A":1,"end":2}},{many}"end":7}}"#
    ));
    assert!(turn.is_some_and(|turn| turn.end == 7.0 && turn.confidence.len() == 2));
}

/// Text that is no valid JSON never gets here, but must not hang or panic either.
#[test]
fn cut_text_ends_without_panic() {
    let json = r#"{"diarization":[{"speaker":"SPEAKER_00","start":-1.5e1,"confidence":{"a\n":null}}],
        "new":[{"é":[true]}],"confidence":{"score":[1,2.5,null],"resolution":0.02},"warning":"\u00e9"}"#;
    for (end, _) in json.char_indices() {
        assert!(read::<Diarization>(&json[..end]).is_none());
    }
    assert!(read::<Diarization>(json).is_some());
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
    fn scanner_agrees_with_serde(value in any_json(), pretty in any::<bool>()) {
        let json = if pretty { format!("{value:#}") } else { value.to_string() };
        same::<Diarization>(&json);
        same::<Identification>(&json);
        same::<Voiceprint>(&json);
        same::<Turn>(&json);
        same::<Segment>(&json);
        same::<LabelMap<f32>>(&json);
        same::<Label>(&json);
    }

    #[test]
    fn scanner_agrees_with_serde_on_numbers(number in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?") {
        same_number(&number);
    }

    #[test]
    fn scanner_never_panics(text in any::<String>(), json in "[\\[\\]{}\",:\\\\nu0-9.e é-]{0,40}") {
        let _ = read::<Diarization>(&text);
        let _ = read::<Identification>(&json);
        let _ = read::<Turns>(&json);
        let _ = json::read::<Label, Skipped>(&json);
    }
}
