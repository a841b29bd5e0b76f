//! Writes JSON in other styles, token by token. Without recursion, because the sender chooses the depth.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::iter;

use serde::de::IgnoredAny;

use super::Finding;

/// A body that is JSON.
pub(super) struct Json<'a> {
    /// The body with its keys in each order, and the description of the order.
    texts: Vec<(&'static str, Cow<'a, str>)>,
    /// Whether an order is missing because it takes too much time or memory.
    pub(super) is_short: bool,
}

/// How the JSON was written when it was signed: the text, its layout, and descriptions of the order of keys, the strings
/// and the numbers. An empty description means: as received.
pub(super) struct Style<'a>(&'a str, Layout, [&'static str; 3]);

/// A description, and the blanks after a comma, after a colon, and per level of indentation.
#[derive(Clone, Copy)]
struct Layout(&'static str, &'static str, &'static str, &'static str);

impl<'a> Json<'a> {
    /// Returns `None` if the text is not JSON.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // serde_json ignores values without recursion.
        serde_json::from_str::<IgnoredAny>(text).ok()?;
        let (mut texts, mut is_short) = (vec![("", text.into())], false);
        for (order, sort) in ORDERS {
            match ordered(text, sort) {
                Some((_, false)) => {}
                Some((text, true)) => texts.push((order, text.into())),
                None => is_short = true,
            }
        }
        Some(Self { texts, is_short })
    }

    /// Returns the styles that may change the text, those with the fewest changes first.
    pub(super) fn styles(&self) -> Vec<Style<'_>> {
        let mut styles = Vec::new();
        for (order, text) in &self.texts {
            let has_escapes = text.contains('\\');
            for (strings, is_possible) in [
                ("", true),
                (ASCII, has_escapes || !text.is_ascii()),
                (MINIMAL, has_escapes),
                (HTML, text.contains(HTML_ESCAPED)),
            ] {
                for numbers in ["", FRACTION, WHOLE].into_iter().filter(|_| is_possible) {
                    let parts = [*order, strings, numbers];
                    styles.extend(LAYOUTS.map(|layout| Style(text, layout, parts)));
                }
            }
        }
        // Keys that have moved need a layout.
        let has_place = |style: &Style<'_>| style.2[0].is_empty() || !style.1.0.is_empty();
        styles.retain(|style| style.parts().count() > 0 && has_place(style));
        styles.sort_by_key(|style| style.parts().count());
        styles
    }
}

impl Style<'_> {
    fn parts(&self) -> impl Iterator<Item = &'static str> {
        let parts = iter::once(self.1.0).chain(self.2);
        parts.filter(|part| !part.is_empty())
    }

    pub(super) fn finding(&self) -> Finding {
        let style = self.parts().collect::<Vec<_>>().join(", ");
        let text = format!("the body was parsed and written again, and was signed {style}");
        Finding::new("body_reserialised", format!("{text}: {VERIFY}"))
    }

    /// Writes the text in this style.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self(text, Layout(layout, comma, colon, indent), [_, strings, numbers]) = *self;
        let blanks = |from, to| {
            let blanks = text.as_bytes().get(from..to);
            blanks.filter(|_| layout.is_empty()).unwrap_or_default()
        };
        let mut out = BufWriter::with_capacity(PIECE, out);
        let (mut at, mut depth, mut is_opened) = (0, 0_usize, false);
        while let Some((start, token)) = token(text, at) {
            out.write_all(blanks(at, start))?;
            at = start + token.len();
            let closes = matches!(token, "}" | "]");
            depth = depth.saturating_sub(closes.into());
            if is_opened != closes {
                write_line(indent, depth, &mut out)?;
            }
            is_opened = matches!(token, "{" | "[");
            depth += usize::from(is_opened);
            let rewritten = match token.bytes().next() {
                Some(b'"') if !strings.is_empty() => string(token, strings),
                Some(b'-' | b'0'..=b'9') => number(token, numbers),
                _ => None,
            };
            out.write_all(rewritten.as_deref().unwrap_or(token).as_bytes())?;
            match token {
                "," => {
                    out.write_all(comma.as_bytes())?;
                    write_line(indent, depth, &mut out)?;
                }
                ":" => out.write_all(colon.as_bytes())?,
                _ => {}
            }
        }
        out.write_all(blanks(at, text.len()))?;
        out.flush()
    }
}

fn string(token: &str, strings: &str) -> Option<String> {
    // An unpaired surrogate is not text, and stays as received.
    let decoded: String = serde_json::from_str(token).ok()?;
    let is_escaped = |c: char| match strings {
        ASCII => c > '~',
        HTML => HTML_ESCAPED.contains(&c),
        _ => false,
    };
    let mut escaped = String::new();
    for c in serde_json::to_string(&decoded).ok()?.chars() {
        if !is_escaped(c) {
            escaped.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            escaped += &format!("\\u{unit:04x}");
        }
    }
    Some(escaped)
}

fn number(token: &str, numbers: &str) -> Option<String> {
    let is_whole = token.bytes().all(|byte| matches!(byte, b'-' | b'0'..=b'9'));
    match numbers {
        FRACTION if is_whole => Some(format!("{token}.0")),
        WHOLE => Some(token.trim_end_matches('0').strip_suffix('.')?.to_owned()),
        _ => None,
    }
}

fn write_line(indent: &str, depth: usize, out: &mut impl Write) -> io::Result<()> {
    if indent.is_empty() {
        return Ok(());
    }
    let mut pieces = iter::once("\n").chain(iter::repeat_n(indent, depth));
    pieces.try_for_each(|piece| out.write_all(piece.as_bytes()))
}

/// Sorts the members of an object.
type Sort = fn(&mut [&str]);

/// Returns the text with the members of its objects sorted and without blanks, and whether any member has moved. Returns
/// `None` if sorting takes too much time or memory.
fn ordered(text: &str, sort: Sort) -> Option<(String, bool)> {
    let (mut ordered, mut is_moved) = (String::with_capacity(text.len()), false);
    let mut work = text.len().saturating_mul(MAX_MOVED);
    // The starts of the members of open objects, and for each open object the number of members before it.
    let (mut members, mut objects) = (Vec::new(), Vec::new());
    let (mut at, mut before) = (0, "");
    while let Some((start, token)) = token(text, at) {
        at = start + token.len();
        match token {
            "{" => objects.push(members.len()),
            // The key is the previous token.
            ":" => members.push(ordered.len() - before.len()),
            "}" => {
                let first = objects.pop()?;
                if let [begin, _, ..] = members[first..] {
                    work = work.checked_sub(ordered.len() - begin)?;
                    let ends = members.iter().skip(first + 1).map(|next| next - 1);
                    let spans = members.iter().skip(first).zip(ends.chain([ordered.len()]));
                    let mut sorted: Vec<&str> = spans
                        .filter_map(|(&from, to)| ordered.get(from..to))
                        .collect();
                    sort(&mut sorted);
                    let sorted = sorted.join(",");
                    is_moved |= ordered.get(begin..) != Some(&sorted);
                    ordered.truncate(begin);
                    ordered.push_str(&sorted);
                }
                members.truncate(first);
            }
            _ => {}
        }
        if objects.len() + members.len() > MAX_OPEN {
            return None;
        }
        ordered.push_str(token);
        before = token;
    }
    Some((ordered, is_moved))
}

fn key(member: &str) -> String {
    let (_, key) = token(member, 0).unwrap_or_default();
    serde_json::from_str(key).unwrap_or_else(|_| key.to_owned())
}

fn sort_as_documented(members: &mut [&str]) {
    let rank = |shape: &str, key: &str| shape.split(' ').position(|known| known == key);
    let fits = |shape: &&str| members.iter().all(|it| rank(shape, &key(it)).is_some());
    if let Some(shape) = DOCUMENTED.into_iter().find(fits) {
        members.sort_by_cached_key(|member| rank(shape, &key(member)));
    }
}

/// Returns the start of the next token, and the token: a bracket, a comma, a colon, a quoted string, or a word.
fn token(text: &str, at: usize) -> Option<(usize, &str)> {
    let rest = text.get(at..)?.trim_ascii_start();
    let length = match rest.bytes().next()? {
        b'"' => {
            let mut is_escaped = true;
            let ends = |byte| {
                let ends = byte == b'"' && !is_escaped;
                is_escaped = byte == b'\\' && !is_escaped;
                ends
            };
            rest.bytes().position(ends)? + 1
        }
        b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
        _ => rest
            .find([',', '}', ']', ' ', '\t', '\n', '\r'])
            .unwrap_or(rest.len()),
    };
    Some((text.len() - rest.len(), rest.get(..length)?))
}

const LAYOUTS: [Layout; 6] = [
    Layout("", "", "", ""),
    // `JSON.stringify`, `json.Marshal`, `jq -c`, and `json.dumps` with separators.
    Layout("compact", "", "", ""),
    // `json.dumps`.
    Layout("with a blank after each comma and colon", " ", " ", ""),
    // jq, and the indented output of the others.
    Layout("indented", "", " ", "  "),
    Layout("indented", "", " ", "    "),
    Layout("indented by tabs", "", " ", "\t"),
];

/// `json.dumps`.
const ASCII: &str = "with all but ASCII escaped";
/// `JSON.stringify`, jq, and `json.dumps` without `ensure_ascii`.
const MINIMAL: &str = "with no more escapes than needed";
/// `json.Marshal`.
const HTML: &str = "with `<`, `>` and `&` escaped";
const HTML_ESCAPED: [char; 5] = ['<', '>', '&', '\u{2028}', '\u{2029}'];

/// Floats of Python.
const FRACTION: &str = "with `1.0` for `1`";
/// Floats of JavaScript and Go.
const WHOLE: &str = "with `1` for `1.0`";

/// Python's `sort_keys`, `jq -S` and Go's maps, and the order that reverts them.
const ORDERS: [(&str, Sort); 2] = [
    ("with its keys sorted", |members| {
        members.sort_by_cached_key(|it| key(it))
    }),
    (
        "with its keys as pyannoteAI documents them",
        sort_as_documented,
    ),
];
const DOCUMENTED: [&str; 6] = [
    "jobId status createdAt updatedAt output",
    "diarization exclusiveDiarization wordLevelTranscription turnLevelTranscription identification voiceprints \
     confidence speechProbability crosstalkProbability speakerProbability warning error",
    "start end text speaker",
    "speaker start end confidence diarizationSpeaker match",
    "speaker match confidence",
    "score resolution",
];

const VERIFY: &str = "verify the raw bytes, before any JSON parser";

/// How often a byte may move on average: once per level of objects.
const MAX_MOVED: usize = 16;

/// How many objects and members may be open at once.
const MAX_OPEN: usize = 1 << 20;
const PIECE: usize = 16 << 10;

#[cfg(test)]
mod tests;
