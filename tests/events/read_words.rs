use proptest::{collection::vec, prelude::*, sample::select};
use tower_pyannote::event::{ReadWordsError, Turn, Turns, assign_speakers, read_words};

/// Returns the words as text and times in hundredths of a second, -1 for no time.
fn words(json: impl AsRef<[u8]>) -> Vec<(String, i64, i64)> {
    let hundredths = |seconds: f64| match seconds.is_nan() {
        true => -1,
        false => (seconds * 100.0).round() as i64,
    };
    let transcript = read_words(json).unwrap();
    let words = transcript.iter().map(|word| {
        assert_eq!(word.speaker, "");
        let text = word.text.to_string();
        (text, hundredths(word.start), hundredths(word.end))
    });
    words.collect()
}

fn word(text: &str, start: i64, end: i64) -> (String, i64, i64) {
    (text.to_owned(), start, end)
}

#[test]
fn words_of_the_openai_api() {
    assert_eq!(
        words(OPENAI_API),
        [
            word("Any", 0, 40),
            word("news", 40, 90),
            word("Not", 90, 140),
            word("yet", 140, 220)
        ]
    );
}

#[test]
fn words_of_openai_whisper() {
    assert_eq!(
        words(OPENAI_WHISPER),
        [
            word(" Any", 0, 40),
            word(" news?", 40, 90),
            word(" Not", 90, 140),
            word(" yet.", 140, 220)
        ]
    );
}

#[test]
fn words_of_faster_whisper_and_a_segment_without_words() {
    assert_eq!(
        words(FASTER_WHISPER),
        [
            word(" Any", 0, 40),
            word(" news?", 40, 90),
            word(" Not yet.", 90, 220)
        ]
    );
}

#[test]
fn words_of_whisperx_of_which_some_have_no_times() {
    assert_eq!(
        words(WHISPERX),
        [
            word("Any", 0, 40),
            word("news", 40, 80),
            word("in", 80, 90),
            word("2014?", -1, -1),
            word(" Not yet.", 100, 220)
        ]
    );
}

#[test]
fn segments_of_whisper_cpp() {
    assert_eq!(
        words(WHISPER_CPP),
        [word(" Any news?", 0, 90), word(" Not yet.", 90, 220)]
    );
}

#[test]
fn tokens_of_whisper_cpp_are_joined_into_words() {
    assert_eq!(
        words(WHISPER_CPP_FULL),
        [
            word(" Any", 0, 40),
            word(" newsflash?", 40, 90),
            word(" Not", 90, 140),
            word(" yet.", 140, 220)
        ]
    );
}

#[test]
fn characters_that_whisper_cpp_split_are_whole() {
    let mut json = br#"{"transcription":[{"text":"#.to_vec();
    json.extend("\"ンハa é\",\"tokens\":[".bytes());
    for (index, text) in [
        b"\xe3\x83\xb3\xe3\x83".as_slice(),
        b"\x8f",
        b"a",
        b" \xc3",
        b"\xa9",
    ]
    .into_iter()
    .enumerate()
    {
        let comma = if index > 0 { "," } else { "" };
        json.extend(format!("{comma}{{\"text\":\"").bytes());
        json.extend(text);
        let (from, to) = (index * 100, index * 100 + 100);
        json.extend(format!("\",\"offsets\":{{\"from\":{from},\"to\":{to}}}}}").bytes());
    }
    json.extend(b"]}]}");
    assert!(std::str::from_utf8(&json).is_err());
    assert_eq!(words(&json), [word("ンハa", 0, 30), word(" é", 30, 50)]);
}

#[test]
fn japanese_tokens_are_words() {
    let json = r#"{"transcription":[{"tokens":[{"text":"こん"},{"text":"ばん"},{"text":"は"},{"text":"。"}]}]}"#;
    let texts = words(json).into_iter().map(|(text, ..)| text);
    assert_eq!(texts.collect::<Vec<_>>(), ["こん", "ばん", "は", "。"]);
}

#[test]
fn silence_has_no_words() {
    for json in [
        r#"{"text":"","segments":[]}"#,
        r#"{"text":"","segments":[],"words":[]}"#,
        r#"{"segments":[{"start":0,"end":1,"text":" "}]}"#,
        r#"{"segments":[{"start":0,"end":1}]}"#,
        r#"{"transcription":[]}"#,
        r#"{"transcription":[{"text":"","tokens":[{"text":"[_BEG_]"},{"text":"<|en|>"},{"text":" "}]}]}"#,
        r#"{"words":[]}"#,
        " []",
    ] {
        assert_eq!(words(json), [], "{json}");
    }
}

#[test]
fn words_of_segments_come_before_other_lists() {
    let both = r#"{"segments":[{"text":"s","words":[{"word":"a"}]}],"words":[{"word":"b"}]}"#;
    assert_eq!(words(both), [word("a", -1, -1)]);
    let flat = r#"{"segments":[{"text":"s"}],"word_segments":[{"word":"b"}]}"#;
    assert_eq!(words(flat), [word("b", -1, -1)]);
    let none = r#"{"segments":[{"text":"s"}],"words":[]}"#;
    assert_eq!(words(none), [word("s", -1, -1)]);
}

#[test]
fn escapes_are_decoded_and_half_surrogate_pairs_replaced() {
    let json = r#"{"words":[{"word":"\u00e9\ud83d\ude00"},{"word":"a\ud800"}]}"#;
    let texts: Vec<_> = words(json).into_iter().map(|(text, ..)| text).collect();
    assert_eq!(texts[0], "é😀");
    assert!(texts[1].starts_with("a\u{fffd}"), "{texts:?}");
}

#[test]
fn what_is_no_transcript_is_an_error() {
    for (json, expected) in [
        (r#"{"text":"a"}"#, ReadWordsError::UnknownFormat),
        ("{}", ReadWordsError::UnknownFormat),
        (r#"{"segments":null}"#, ReadWordsError::UnknownFormat),
    ] {
        assert_eq!(read_words(json), Err(expected), "{json}");
    }
    for json in [
        r#"{"words":[{"word":1}]}"#,
        r#"{"words":[{"word":"a","start":"0.5"}]}"#,
        r#"{"words":[null]}"#,
        r#"{"words":{}}"#,
        r#"{"words":[],"words":[]}"#,
        r#"{"transcription":[{"tokens":[50364]}]}"#,
        "1",
        "null",
        "[[[1]]]",
    ] {
        let error = read_words(json).unwrap_err();
        assert!(
            matches!(error, ReadWordsError::Shape { line: 1, .. }),
            "{json}: {error:?}"
        );
    }
    for json in [
        "",
        " ",
        "{",
        "[",
        r#"{"words":[{"word":"a","start":NaN}]}"#,
        "{}x",
        "\u{feff}{}",
    ] {
        let error = read_words(json).unwrap_err();
        assert!(
            matches!(error, ReadWordsError::Syntax { .. }),
            "{json}: {error:?}"
        );
    }
    let error = read_words("{\"words\":[\n{\"word\":[\"secret\"]}]}").unwrap_err();
    assert_eq!(
        error.to_string(),
        "transcript has an unexpected value at line 2, column 9"
    );
}

#[test]
fn depth_is_limited() {
    let json = format!("{{\"segments\":[{}", "{\"words\":[".repeat(100_000));
    let error = read_words(json).unwrap_err();
    assert!(
        matches!(error, ReadWordsError::Syntax { line: 1, .. }),
        "{error:?}"
    );
}

#[test]
fn every_format_has_the_same_speakers() {
    let turns = Turns::from(vec![
        Turn::new("Ann", 0.0, 0.95),
        Turn::new("Bob", 0.95, 2.0),
    ]);
    for (name, json) in FIXTURES {
        let assigned = assign_speakers(&turns, read_words(json).unwrap()).unwrap();
        let text = assigned.turn_level().text();
        let plain: String = text.chars().filter(|c| !".?".contains(*c)).collect();
        let plain = plain.replace(" in 2014", "").replace("flash", "");
        assert_eq!(plain, "Ann: Any news\nBob: Not yet\n", "{name}");
    }
}

const OPENAI_API: &[u8] = include_bytes!("../vectors/transcripts/openai_api.json");
const OPENAI_WHISPER: &[u8] = include_bytes!("../vectors/transcripts/openai_whisper.json");
const FASTER_WHISPER: &[u8] = include_bytes!("../vectors/transcripts/faster_whisper.json");
const WHISPERX: &[u8] = include_bytes!("../vectors/transcripts/whisperx.json");
const WHISPER_CPP: &[u8] = include_bytes!("../vectors/transcripts/whisper_cpp.json");
const WHISPER_CPP_FULL: &[u8] = include_bytes!("../vectors/transcripts/whisper_cpp_full.json");

const FIXTURES: [(&str, &[u8]); 6] = [
    ("openai api", OPENAI_API),
    ("openai whisper", OPENAI_WHISPER),
    ("faster-whisper", FASTER_WHISPER),
    ("whisperx", WHISPERX),
    ("whisper.cpp", WHISPER_CPP),
    ("whisper.cpp full", WHISPER_CPP_FULL),
];

proptest! {
    #[test]
    fn changed_bytes_are_words_or_an_error(
        fixture in select(FIXTURES.to_vec()),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        length in any::<prop::sample::Index>(),
    ) {
        let mut json = fixture.1.to_vec();
        for (index, byte) in changes {
            let index = index.index(json.len());
            json[index] = byte;
        }
        for json in [&json[..], &json[..length.index(json.len())]] {
            if let Ok(words) = read_words(json) {
                let texts: usize = words.iter().map(|word| word.text.len()).sum();
                // A byte that is not UTF-8 becomes a character of three bytes.
                prop_assert!(texts <= 3 * json.len());
                prop_assert!(words.iter().all(|word| !word.text.trim().is_empty()));
            }
        }
    }
}
