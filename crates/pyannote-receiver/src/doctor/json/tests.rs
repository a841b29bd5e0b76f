use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn layout(name: &str, indent: &str) -> Layout {
    let is_it = |layout: &Layout| layout.0 == name && layout.3 == indent;
    LAYOUTS.into_iter().find(is_it).unwrap()
}

const AS_RECEIVED: Layout = LAYOUTS[0];

fn written(text: &str, layout: Layout, parts: [&'static str; 3]) -> String {
    let mut written = Vec::new();
    let json = Json::parse(text).unwrap();
    let (_, text) = json
        .texts
        .iter()
        .find(|(order, _)| *order == parts[0])
        .unwrap();
    Style(text, layout, parts).write(&mut written).unwrap();
    String::from_utf8(written).unwrap()
}

const SORTED: &str = ORDERS[0].0;
const DOCUMENTED_ORDER: &str = ORDERS[1].0;

/// From Python 3.12: `json.dumps(json.loads(body), ...)`.
#[test]
fn python_styles_match_json_dumps() {
    let body = "{\"b\":[1.0,-2,{}],\"a\\/\":\"\u{e9}\u{1f600}\\n\\u0001<\\u007f\",\"c\":[]}";
    let spaced = layout("with a blank after each comma and colon", "");
    assert_eq!(
        written(body, spaced, ["", ASCII, ""]),
        r#"{"b": [1.0, -2, {}], "a/": "\u00e9\ud83d\ude00\n\u0001<\u007f", "c": []}"#
    );
    assert_eq!(
        written(body, layout("indented", "  "), [SORTED, MINIMAL, ""]),
        "{\n  \"a/\": \"\u{e9}\u{1f600}\\n\\u0001<\u{7f}\",\n  \"b\": [\n    1.0,\n    -2,\n    {}\n  ],\n  \"c\": []\n}"
    );
}

/// As `json.Marshal` writes a map: https://pkg.go.dev/encoding/json#Marshal.
#[test]
fn go_styles_match_json_marshal() {
    let body = r#"{"b": "<a href='x'>&amp;\u2028\u00e9", "B": 1.0, "a": {"y": 2, "x": 1.50}}"#;
    assert_eq!(
        written(body, layout("compact", ""), [SORTED, HTML, WHOLE]),
        r#"{"B":1,"a":{"x":1.50,"y":2},"b":"\u003ca href='x'\u003e\u0026amp;\u2028é"}"#
    );
}

#[test]
fn sorted_keys_return_to_the_documented_order() {
    let sorted = r#"{"jobId":"a","output":{"diarization":[{"confidence":{"B":1,"A":2},"end":2,"speaker":"A","start":1}],"turnLevelTranscription":[{"end":2,"speaker":"A","start":1,"text":"x"}],"warning":null,"zone":1},"status":"succeeded"}"#;
    let documented = r#"{"jobId":"a","status":"succeeded","output":{"diarization":[{"speaker":"A","start":1,"end":2,"confidence":{"B":1,"A":2}}],"turnLevelTranscription":[{"start":1,"end":2,"text":"x","speaker":"A"}],"warning":null,"zone":1}}"#;
    let compact = layout("compact", "");
    assert_eq!(
        written(sorted, compact, [DOCUMENTED_ORDER, "", ""]),
        documented
    );
}

#[test]
fn numbers_lose_and_gain_only_their_zero_fraction() {
    let body = "[1.0,-0.0,10,1.50,1e3,1.0e3,-7,100.00,0]";
    assert_eq!(
        written(body, AS_RECEIVED, ["", "", WHOLE]),
        "[1,-0,10,1.50,1e3,1.0e3,-7,100,0]"
    );
    assert_eq!(
        written(body, AS_RECEIVED, ["", "", FRACTION]),
        "[1.0,-0.0,10.0,1.50,1e3,1.0e3,-7.0,100.00,0.0]"
    );
}

#[test]
fn unpaired_surrogates_stay_as_received() {
    let body = r#" { "\ud800" : "\uDC00é" } "#;
    assert_eq!(written(body, AS_RECEIVED, ["", ASCII, ""]), body);
}

#[test]
fn sorting_stops_at_its_limits() {
    let deep = |depth: usize| r#"{"b":0,"a":"#.repeat(depth) + "0" + &"}".repeat(depth);
    let shallow = deep(8);
    let json = Json::parse(&shallow).unwrap();
    assert!(!json.is_short);
    assert_eq!(json.texts.len(), 2);
    let deep = deep(100_000);
    let json = Json::parse(&deep).unwrap();
    assert!(json.is_short);
    assert_eq!(json.texts.len(), 1);
    let wide: String = (0..=MAX_OPEN).map(|_| "\"\":0,").collect();
    let wide = format!("{{{wide}\"\":0}}");
    assert!(Json::parse(&wide).unwrap().is_short);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn compact_and_indented_layouts_match_serde_json(value in value()) {
        let (compact, pretty) = (value.to_string(), format!("{value:#}"));
        let parts = ["", "", ""];
        prop_assert_eq!(&written(&pretty, layout("compact", ""), parts), &compact);
        prop_assert_eq!(&written(&compact, layout("indented", "  "), parts), &pretty);
        prop_assert_eq!(&written(&pretty, AS_RECEIVED, parts), &pretty);
        // serde_json sorts keys.
        prop_assert!(Json::parse(&compact).unwrap().texts.iter().all(|(order, _)| *order != SORTED));
    }

    #[test]
    fn keys_are_sorted_as_in_a_map(
        entries in proptest::collection::vec((any::<String>(), value()), 0..8),
        is_ascii in any::<bool>(),
    ) {
        let strings = if is_ascii { ASCII } else { MINIMAL };
        let map: std::collections::BTreeMap<_, _> = entries.iter().cloned().collect();
        let entries: Vec<_> = entries
            .iter()
            .filter(|(key, value)| map[key] == *value)
            .map(|(key, value)| {
                let key = Value::from(key.as_str()).to_string();
                format!("{}:{value}", string(&key, strings).unwrap())
            })
            .collect();
        prop_assume!(entries.len() == map.len());
        let (sorted, is_moved) = ordered(&format!("{{{}}}", entries.join(",")), ORDERS[0].1).unwrap();
        prop_assert_eq!(is_moved, sorted != format!("{{{}}}", entries.join(",")));
        let sorted: Vec<String> = sorted_keys(&sorted);
        prop_assert_eq!(sorted, map.into_keys().collect::<Vec<_>>());
    }

    #[test]
    fn every_style_writes_the_same_value(value in value()) {
        let text = value.to_string();
        for style in Json::parse(&text).unwrap().styles() {
            let mut written = Vec::new();
            style.write(&mut written).unwrap();
            let read: Result<Value, _> = serde_json::from_slice(&written);
            match style.2[2] {
                "" => prop_assert_eq!(read.unwrap(), value.clone(), "{}", style.finding()),
                _ => prop_assert!(read.is_ok(), "{}", String::from_utf8_lossy(&written)),
            }
        }
    }

    #[test]
    fn text_that_is_not_json_never_panics(text in "[\\[\\]{}\",: \\\\u0-9a]{0,24}") {
        for (_, sort) in ORDERS {
            let _ = ordered(&text, sort);
        }
        for layout in LAYOUTS {
            let mut written = Vec::new();
            Style(&text, layout, ["", ASCII, FRACTION]).write(&mut written).unwrap();
            prop_assert!(written.len() < 100 * (text.len() + 1));
        }
        let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
        prop_assert_eq!(Json::parse(&text).is_some(), is_json);
    }
}

/// The keys of an object whose values are of any kind.
fn sorted_keys(object: &str) -> Vec<String> {
    let (mut keys, mut depth, mut at, mut before) = (Vec::new(), 0, 0, "");
    while let Some((start, token)) = token(object, at) {
        at = start + token.len();
        match token {
            "{" | "[" => depth += 1,
            "}" | "]" => depth -= 1,
            ":" if depth == 1 => keys.push(serde_json::from_str(before).unwrap()),
            _ => {}
        }
        before = token;
    }
    keys
}
