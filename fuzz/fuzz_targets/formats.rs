//! RTTM, WebVTT and SRT are well formed for any labels, texts and times, and parse back to the same values.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tower_pyannote::event::{Segment, Transcript, Turn, Turns};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    uri: &'a str,
    items: Vec<Item<'a>>,
}

#[derive(Arbitrary, Debug)]
struct Item<'a> {
    speaker: &'a str,
    text: &'a str,
    start: Time,
    end: Time,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Time {
    Millis(u32),
    Any(f64),
}

impl Time {
    fn seconds(self) -> f64 {
        match self {
            Self::Millis(millis) => f64::from(millis) / 1e3,
            Self::Any(seconds) => seconds,
        }
    }

    /// Returns the milliseconds that the formats write; `None` if rounding may go either way.
    fn millis(self) -> Option<u64> {
        match self {
            Self::Millis(millis) => Some(millis.into()),
            Self::Any(_) => None,
        }
    }
}

/// A cue: milliseconds, the speaker, the text.
type Cue = (u64, u64, String, String);

fuzz_target!(|input: Input<'_>| {
    let items = &input.items;
    let exact: Option<Vec<Cue>> = items
        .iter()
        .map(usable)
        .collect::<Option<Vec<_>>>()
        .map(|cues| cues.into_iter().flatten().collect());

    let turns: Turns = items
        .iter()
        .map(|item| Turn::new(item.speaker, item.start.seconds(), item.end.seconds()))
        .collect();
    let rttm = read_rttm(&turns.to_rttm(input.uri), &field(input.uri));
    if let Some(exact) = &exact {
        let expected = exact.iter().map(|(start, end, ..)| (*start, end - start));
        let written = rttm.iter().map(|(start, length, _)| (*start, *length));
        assert!(expected.eq(written));
    }
    assert!(
        rttm.iter()
            .all(|(.., speaker)| items.iter().any(|item| field(item.speaker) == *speaker))
    );

    let transcript: Transcript = items
        .iter()
        .map(|item| {
            let (start, end) = (item.start.seconds(), item.end.seconds());
            Segment::new(item.speaker, start, end, item.text)
        })
        .collect();
    let webvtt = read_webvtt(&transcript.to_webvtt());
    let srt = read_srt(&transcript.to_srt());
    assert!(webvtt.iter().map(|cue| cue.0).is_sorted());
    assert!(webvtt.iter().all(|(start, end, ..)| start < end));
    if let Some(mut exact) = exact {
        exact.retain(|(.., text)| !text.is_empty());
        exact.sort_by_key(|cue| cue.0);
        assert_eq!(webvtt, exact);
    }
    let lines = webvtt.iter().map(|(start, end, speaker, text)| {
        let line = match &**speaker {
            "" => text.clone(),
            speaker => format!("{speaker}: {text}"),
        };
        (*start, *end, line.replace("-->", "→"))
    });
    assert!(lines.eq(srt));
});

/// Returns the cue of an item; `Some(None)` if it is left out, `None` if that depends on rounding.
fn usable(item: &Item<'_>) -> Option<Option<Cue>> {
    let (start, end) = (item.start.millis()?, item.end.millis()?);
    let is_usable = start < end && end < 359_999_000;
    Some(is_usable.then(|| (start, end, folded(item.speaker), folded(item.text))))
}

/// Returns start and length in milliseconds, and the speaker, of each line of ten fields.
fn read_rttm(rttm: &str, uri: &str) -> Vec<(u64, u64, String)> {
    assert!(rttm.is_empty() || rttm.ends_with('\n'));
    let lines = rttm.split_terminator('\n').map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [
            "SPEAKER",
            file,
            "1",
            start,
            length,
            "<NA>",
            "<NA>",
            speaker,
            "<NA>",
            "<NA>",
        ] = fields[..]
        else {
            panic!("{line:?}");
        };
        assert_eq!(file, uri);
        assert_eq!(line, fields.join(" "));
        (millis(start, '.'), millis(length, '.'), speaker.to_owned())
    });
    lines.collect()
}

fn read_webvtt(webvtt: &str) -> Vec<Cue> {
    let mut blocks = blocks(webvtt).into_iter();
    assert_eq!(blocks.next(), Some(vec!["WEBVTT"]));
    let cues = blocks.map(|block| {
        let [times, payload] = block[..] else {
            panic!("{block:?}");
        };
        let (start, end) = read_times(times, '.');
        let (speaker, text) = match payload.strip_prefix("<v ") {
            Some(rest) => rest.split_once('>').expect("the tag ends"),
            None => ("", payload),
        };
        (start, end, unescaped(speaker), unescaped(text))
    });
    cues.collect()
}

fn read_srt(srt: &str) -> Vec<(u64, u64, String)> {
    let cues = blocks(srt).into_iter().zip(1..).map(|(block, number)| {
        let [index, times, text] = block[..] else {
            panic!("{block:?}");
        };
        assert_eq!(index, i32::to_string(&number));
        assert!(!text.contains("-->"), "{text}");
        let (start, end) = read_times(times, ',');
        (start, end, text.to_owned())
    });
    cues.collect()
}

/// Returns blocks of lines that empty lines separate. There may be no carriage return, because some parsers end lines there.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    assert!(!text.contains(['\r', '\0']));
    let mut blocks = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.is_empty()) {
        let lines: Vec<&str> = block.split_terminator('\n').collect();
        assert!(
            lines.iter().all(|line| !line.trim().is_empty()),
            "{block:?}"
        );
        blocks.push(lines);
    }
    blocks
}

fn read_times(line: &str, point: char) -> (u64, u64) {
    let (start, end) = line.split_once(" --> ").expect("an arrow");
    (clock(start, point), clock(end, point))
}

fn clock(text: &str, point: char) -> u64 {
    let (hours, rest) = text.split_once(':').expect("hours");
    let (minutes, seconds) = rest.split_once(':').expect("minutes");
    let number = |text: &str| -> u64 {
        assert!(
            text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()),
            "{text}"
        );
        text.parse().expect("digits")
    };
    let (hours, minutes) = (number(hours), number(minutes));
    let whole = number(seconds.get(..2).expect("two digits"));
    assert!(minutes < 60 && whole < 60, "{text}");
    (hours * 60 + minutes) * 60_000 + millis(seconds, point)
}

/// Seconds with three decimals, as milliseconds.
fn millis(text: &str, point: char) -> u64 {
    let (whole, part) = text.split_once(point).expect("a point");
    assert!(
        part.len() == 3 && part.bytes().all(|byte| byte.is_ascii_digit()),
        "{text}"
    );
    let whole: u64 = whole.parse().expect("digits");
    whole * 1_000 + part.parse::<u64>().expect("digits")
}

/// Undoes the three escapes; none of their characters may be left unescaped.
fn unescaped(text: &str) -> String {
    assert!(!text.contains(['<', '>']), "{text}");
    let bare = text
        .replace("&lt;", "")
        .replace("&gt;", "")
        .replace("&amp;", "");
    assert!(!bare.contains('&'), "{text}");
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

fn folded(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn field(text: &str) -> String {
    match text {
        "" => "<NA>".to_owned(),
        text => text.replace(|c: char| c.is_whitespace() || c.is_control(), "_"),
    }
}
