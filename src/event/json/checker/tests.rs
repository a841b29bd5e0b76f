use std::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::{watch::DEEPEST, *};

/// Collects all that is reported: the keys and values of the root, and of each object in it.
#[derive(Debug, Default, PartialEq)]
struct Reports(Vec<(usize, Vec<u8>, Range<usize>)>, [Vec<u8>; DEEPEST]);

impl Observer for Reports {
    fn key(&mut self, depth: usize, key: &[u8]) -> bool {
        self.1[depth - 1] = key.to_vec();
        key != b"\"unwanted\""
    }

    fn value_begins(&mut self, _: usize, _: u8) -> bool {
        true
    }

    fn value(&mut self, depth: usize, at: Range<usize>) {
        self.0.push((depth, self.1[depth - 1].clone(), at));
    }
}

/// Returns what is reported of a text in pieces that end at these places; `None` if it is not JSON.
fn reports(text: &[u8], ends: impl IntoIterator<Item = usize>) -> Option<Reports> {
    let mut checker = Checker::default();
    let mut reports = Reports::default();
    for end in ends.into_iter().chain([text.len()]) {
        checker
            .advance(&text[..end.min(text.len())], &mut reports)
            .ok()?;
    }
    checker.is_whole().then_some(reports)
}

fn agrees(text: &str) {
    let whole = reports(text.as_bytes(), []);
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    assert_eq!(whole.is_some(), is_json, "{text}");
    assert_eq!(
        reports(text.as_bytes(), 0..text.len()),
        whole,
        "byte by byte: {text}"
    );
}

#[test]
fn values_of_the_root_and_of_its_objects_are_reported() {
    let text = r#"{"a" : 1.5,"unwanted":{"b":2},"c":{"d":[{"e":3}],"f":"g"},"h":[{"i":4}]}"#;
    let reported = reports(text.as_bytes(), []).expect("it is JSON");
    let reported = reported.0.iter().map(|(depth, key, at)| {
        let key = std::str::from_utf8(key).expect("it is text");
        (*depth, key, &text[at.clone()])
    });
    let reported = reported.collect::<Vec<_>>();
    assert_eq!(
        reported,
        [
            (1, "\"a\"", "1.5"),
            (2, "\"d\"", r#"[{"e":3}]"#),
            (2, "\"f\"", "\"g\""),
            (1, "\"c\"", r#"{"d":[{"e":3}],"f":"g"}"#),
            (1, "\"h\"", r#"[{"i":4}]"#),
        ]
    );
}

#[test]
fn syntax_is_that_of_serde_json() {
    let texts = [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[]",
        "{}",
        "[}",
        "{]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:1}",
        "{\"a\"::1}",
        "1",
        "1 ",
        " 1",
        "1 1",
        "1,",
        "-",
        "-1",
        "--1",
        "+1",
        "01",
        "-01",
        "0",
        "-0",
        "0.",
        "0.0",
        "00.0",
        ".5",
        "1.",
        "1.5",
        "1.5.5",
        "1e",
        "1e5",
        "1e+",
        "1e+5",
        "1e-5",
        "1E5",
        "1e5.5",
        "0e1",
        "01e1",
        "1e05",
        "true",
        "tru",
        "truee",
        "false",
        "null",
        "nul",
        "nulll",
        "True",
        "\"",
        "\"\"",
        "\"\\\"",
        "\"\\\"\"",
        "\"\\u\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\uD800\"",
        "\"\\x\"",
        "\"\t\"",
        "\"\u{1}\"",
        "\"\u{7f}\"",
        "\"\\/\\b\\f\\n\\r\\t\\\\\"",
        "[[[[]]]]",
        "[[[[]]]",
        "[1]]",
        "{\"a\":{\"b\":[{}]}}",
        "\u{feff}{}",
    ];
    texts.into_iter().for_each(agrees);
}

#[test]
fn values_are_judged_the_same_in_a_list_of_similar_objects() {
    let valid = [
        "0",
        "10",
        "-1.5",
        "1e5",
        "-2.5E-3",
        "\"a\"",
        "true",
        "null",
        "[1]",
        "{\"b\":2}",
    ];
    let faulty = [
        "",
        "-",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5.5",
        "1e",
        "1e+",
        "1e5.5",
        "1e05e1",
        "1-1",
        "0x",
        "\"a",
        "a\"",
        "\"\t\"",
        "\"\\q\"",
        "\"a\"b",
        "tru",
        "[1",
        "1]",
        "{\"b\":2",
        "2}",
        "{\"b\":2}]",
    ];
    for usual in valid {
        for value in valid.into_iter().chain(faulty) {
            let object = |value| format!("{{\"a\":{value},\"c\":1}}");
            let usual = [object(usual), object(usual), object(usual)].join(",");
            agrees(&format!("{{\"list\":[{usual},{},{usual}]}}", object(value)));
        }
    }
}

#[test]
fn text_may_be_deeply_nested() {
    for depth in [63, 64, 65, 128, 129, 200, 1_000] {
        let text = "[{\"a\":".repeat(depth) + "1" + &"}]".repeat(depth);
        agrees(&text);
        agrees(&text[..text.len() - 1]);
        agrees(&text.replacen("}]", "]}", 1));
        agrees(&(text + "]"));
    }
}

/// Numbers and separators of a score curve, and a few other characters.
fn curve() -> impl Strategy<Value = String> {
    let usual = "(0|[1-9][0-9]{0,2})(\\.[0-9]{1,2})?,";
    let odd = "[0-9.,\\-e\\] ]";
    let piece = prop_oneof![60 => usual.prop_map(|text| text), 1 => odd.prop_map(|text| text)];
    vec(piece, 0..80).prop_map(|pieces| format!("[1,{}0]", pieces.concat()))
}

/// Nested lists of objects like turns and words, a few of them in another form.
fn objects() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,9})(\\.[0-9]{1,4})?";
    let turn = (number, number, "[A-Z_0-9]{0,20}")
        .prop_map(|(start, end, who)| format!(r#"{{"start":{start},"end":{end},"who":"{who}"}}"#));
    let odd = prop_oneof![
        Just(r#"{"start":1e5,"end":2,"who":"A"}"#),
        Just(r#"{"start":1,"end":2.5E-3,"who":"A"}"#),
        Just(r#"{"start":01,"end":2,"who":"A"}"#),
        Just(r#"{"start":1.5.5,"end":2,"who":"A"}"#),
        Just(r#"{"start":-,"end":2,"who":"A"}"#),
        Just(r#"{"start":1,"end":2,"who":"\u00e9\""}"#),
        Just(r#"{ "start" : 1, "end" : 2, "who" : "A" }"#),
        Just(r#"{"start":1,"end":null,"who":true}"#),
        Just(r#"{"start":1,"end":2,"who":{"A":1,"B":[1,{}]}}"#),
        Just(r#"{"start":1,"end":2,"who":["A","B"]}"#),
        Just("{}"),
        Just("[]"),
        Just("]}"),
        Just(r#"{}],"a":[{}"#),
    ];
    let list = vec(
        prop_oneof![20 => turn, 1 => odd.prop_map(str::to_owned)],
        0..12,
    )
    .prop_map(|objects| format!("[{}]", objects.join(",")));
    list.prop_recursive(3, 60, 6, |inner| {
        vec(inner, 0..6).prop_map(|inner| {
            let objects = inner
                .iter()
                .map(|inner| format!(r#"{{"a":1,"of":{inner}}}"#));
            format!("[{}]", objects.collect::<Vec<_>>().join(","))
        })
    })
    .prop_map(|list| format!(r#"{{"output":{{"list":{list}}},"b":[{{}},{list}]}}"#))
}

proptest! {
    #[test]
    fn lists_of_objects_are_judged_as_serde_json_does(text in objects()) {
        agrees(&text);
    }

    #[test]
    fn lists_of_objects_with_one_fault_are_judged_as_serde_json_does(
        object in prop::sample::select(vec![
            r#"{"speaker":"SPEAKER_00","start":1.25,"end":20}"#,
            r#"{"a":{"b":[1,-2.5],"c":"d"},"e":[{"f":0}]}"#,
            r#"{"a":1e5,"b":-2.5E-3,"c":0e0}"#,
            r#"{"text":"é","confidence":{"SPEAKER_00":0,"SPEAKER_01":100}}"#,
        ]),
        place in 0..400_usize,
        cut in 0..4_usize,
        fault in "[-0-9.eE\\[\\]{},:\"\\\\ a]{0,3}",
    ) {
        let list = [object; 8].join(",");
        let mut place = place.min(list.len());
        while !list.is_char_boundary(place) {
            place -= 1;
        }
        let mut end = (place + cut).min(list.len());
        while !list.is_char_boundary(end) {
            end += 1;
        }
        agrees(&format!("{{\"list\":[{}{fault}{}]}}", &list[..place], &list[end..]));
    }

    #[test]
    fn long_lists_are_judged_as_serde_json_does(text in curve()) {
        agrees(&text);
    }

    #[test]
    fn long_lists_with_one_fault_are_judged_as_serde_json_does(
        place in 0..120_usize,
        fault in prop::sample::select(vec!["", "0", ".", ",", "5", "-", "e", " ", "]", ".5", "00"]),
        number in prop::sample::select(vec!["7,", "97,", "0,", "100,", "1.5,", "11.25,", "0.05,"]),
    ) {
        let list = number.repeat(30);
        let place = place.min(list.len());
        agrees(&format!("[1,{}{fault}{}1]", &list[..place], &list[place..]));
    }

    #[test]
    fn pieces_are_judged_like_the_whole(
        text in "[\\[\\]{},:\"\\\\0-9a-eu.\\- ]{0,40}",
        ends in vec(0..40_usize, 0..5),
    ) {
        agrees(&text);
        let mut ends = ends;
        ends.sort_unstable();
        prop_assert_eq!(reports(text.as_bytes(), ends), reports(text.as_bytes(), []));
    }

    #[test]
    fn strings_of_any_length_are_judged_as_serde_json_does(
        before in "[a-z ]{0,100}",
        odd in prop::sample::select(vec!["", "\\\"", "\\\\", "\\u00e9", "\\q", "\u{1f}", "é", "\"", "😀"]),
        after in "[a-z ]{0,100}",
    ) {
        agrees(&format!("{{\"{before}{odd}{after}\":\"{after}{odd}{before}\"}}"));
    }
}
