use std::fmt;

use serde::de::IgnoredAny;

use super::codings::Out;

/// How a body's JSON was written when it was signed, where that differs from how it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct JsonStyle {
    /// The blanks between its tokens.
    pub layout: JsonLayout,
    /// Whether the keys of its objects were sorted.
    pub is_sorted: bool,
    /// The characters of its strings.
    pub strings: JsonStrings,
    /// The ends of its whole numbers.
    pub numbers: JsonNumbers,
}

/// The blanks between the tokens of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonLayout {
    /// Those that came.
    AsItIs,
    /// None.
    Compact,
    /// One after each comma and colon, as Python's `json.dumps` has it.
    Spaced,
    /// A line a value, with so many blanks a level.
    Indented(u8),
    /// A line a value, with a tab a level.
    Tabs,
}

/// The characters of JSON's strings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonStrings {
    /// As they came.
    AsItIs,
    /// Only what must be is escaped.
    Unescaped,
    /// All but ASCII is escaped, as Python's `json.dumps` has it.
    Escaped,
}

/// The ends of JSON's whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JsonNumbers {
    /// As they came.
    AsItIs,
    /// `1.0` was written `1`.
    Whole,
    /// `1` was written `1.0`.
    Fraction,
}

impl JsonStyle {
    fn count(self) -> usize {
        let changed = [
            self.layout != JsonLayout::AsItIs,
            self.is_sorted,
            self.strings != JsonStrings::AsItIs,
            self.numbers != JsonNumbers::AsItIs,
        ];
        changed.into_iter().filter(|changed| *changed).count()
    }
}

impl fmt::Display for JsonStyle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layout = match self.layout {
            JsonLayout::AsItIs => None,
            JsonLayout::Compact => Some("compact"),
            JsonLayout::Spaced => Some("with a blank after each comma and colon"),
            JsonLayout::Indented(_) => Some("indented"),
            JsonLayout::Tabs => Some("indented by tabs"),
        };
        let strings = match self.strings {
            JsonStrings::AsItIs => None,
            JsonStrings::Unescaped => Some("with no more escapes than needed"),
            JsonStrings::Escaped => Some("with all but ASCII escaped"),
        };
        let numbers = match self.numbers {
            JsonNumbers::AsItIs => None,
            JsonNumbers::Whole => Some("with `1` for `1.0`"),
            JsonNumbers::Fraction => Some("with `1.0` for `1`"),
        };
        let sorted = self.is_sorted.then_some("with its keys sorted");
        let words = [layout, sorted, strings, numbers];
        for (index, words) in words.into_iter().flatten().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{words}")?;
        }
        Ok(())
    }
}

pub(super) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// All styles that a body may have been written in before, those nearest to how it came first.
pub(super) fn styles(body: &[u8]) -> Vec<JsonStyle> {
    // Sorting looks at each value once a level.
    let can_sort = body.len().saturating_mul(depth(body)) <= MOST_SORTED;
    let mut styles = Vec::new();
    for numbers in NUMBERS {
        for is_sorted in [false, true] {
            for strings in STRINGS {
                for layout in LAYOUTS {
                    let style = JsonStyle {
                        layout,
                        is_sorted,
                        strings,
                        numbers,
                    };
                    // Blanks that came between keys mean nothing once those are sorted.
                    let means_something = layout != JsonLayout::AsItIs || !is_sorted;
                    if style.count() > 0 && means_something && (can_sort || !is_sorted) {
                        styles.push(style);
                    }
                }
            }
        }
    }
    styles.sort_by_key(|style| style.count());
    styles
}

/// Writes JSON in another style, token by token, so that what the style does not name stays as it came.
pub(super) fn write(body: &[u8], style: JsonStyle, out: Out<'_>) -> bool {
    let mut writer = Writer {
        body,
        at: 0,
        style,
        depth: 0,
        buffer: Vec::new(),
        out,
    };
    let is_written = writer.blanks().and_then(|()| writer.value());
    // What comes after the value can only be blanks.
    let ends = is_written.and_then(|()| writer.blanks());
    (writer.out)(&writer.buffer);
    ends.is_some()
}

struct Writer<'a> {
    body: &'a [u8],
    at: usize,
    style: JsonStyle,
    depth: usize,
    buffer: Vec<u8>,
    out: Out<'a>,
}

/// Each method begins at its token and ends after it; `None` is what no JSON leads to.
impl Writer<'_> {
    fn value(&mut self) -> Option<()> {
        match self.peek()? {
            b'{' if self.style.is_sorted => self.sorted_object(),
            b'{' => self.items(b'}', |this| {
                this.string()?;
                this.blanks()?;
                this.colon()?;
                this.value()
            }),
            b'[' => self.items(b']', Self::value),
            b'"' => self.string(),
            _ => self.scalar(),
        }
    }

    fn items(&mut self, close: u8, item: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.token()?;
        self.blanks()?;
        if self.peek()? == close {
            return self.token();
        }
        self.depth += 1;
        self.line();
        loop {
            item(self)?;
            self.blanks()?;
            if self.peek()? == close {
                break;
            }
            self.token()?;
            self.gap();
            self.blanks()?;
        }
        self.depth -= 1;
        self.line();
        self.token()
    }

    fn sorted_object(&mut self) -> Option<()> {
        let mut members = self.members()?;
        let end = self.at;
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.push(b"{");
        self.depth += 1;
        for (index, (_, start)) in members.iter().enumerate() {
            self.at = *start;
            if index == 0 {
                self.line();
            } else {
                self.push(b",");
                self.gap();
            }
            self.string()?;
            self.blanks()?;
            self.colon()?;
            self.value()?;
        }
        self.depth -= 1;
        if !members.is_empty() {
            self.line();
        }
        self.push(b"}");
        self.at = end;
        Some(())
    }

    /// Steps over an object and returns its keys with where they are.
    fn members(&mut self) -> Option<Vec<(String, usize)>> {
        let mut members = Vec::new();
        self.at += 1;
        loop {
            self.at += self.count_blanks();
            match self.peek()? {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let start = self.at;
                    let key = self.step_over_string()?;
                    let key = serde_json::from_slice(key)
                        .unwrap_or_else(|_| String::from_utf8_lossy(key).into_owned());
                    members.push((key, start));
                    self.at += self.count_blanks() + 1;
                    self.step_over_value()?;
                }
            }
        }
        self.at += 1;
        Some(members)
    }

    fn step_over_value(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.step_over_string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' | b',' if depth == 0 => return Some(()),
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
    }

    fn step_over_string(&mut self) -> Option<&[u8]> {
        let start = self.at;
        let mut at = start + 1;
        loop {
            match self.body.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        self.body.get(start..self.at)
    }

    fn string(&mut self) -> Option<()> {
        let start = self.at;
        self.step_over_string()?;
        let raw = self.body.get(start..self.at)?;
        if self.style.strings == JsonStrings::AsItIs {
            self.push(raw);
            return Some(());
        }
        // A lone surrogate is no text, and stays as it is.
        let decoded = serde_json::from_slice::<String>(raw);
        let Some(text) = decoded
            .ok()
            .and_then(|text| serde_json::to_string(&text).ok())
        else {
            self.push(raw);
            return Some(());
        };
        if self.style.strings == JsonStrings::Unescaped || text.is_ascii() {
            self.push(text.as_bytes());
            return Some(());
        }
        for c in text.chars() {
            if c.is_ascii() {
                self.push(c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    self.push(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
        Some(())
    }

    fn scalar(&mut self) -> Option<()> {
        let rest = self.body.get(self.at..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || is_blank(byte);
        let length = rest.iter().position(ends).unwrap_or(rest.len());
        let scalar = rest.get(..length)?;
        self.at += length;
        let digits = scalar.strip_prefix(b"-").unwrap_or(scalar);
        let is_whole = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        match self.style.numbers {
            JsonNumbers::Whole => self.push(without_zeros(scalar)),
            JsonNumbers::Fraction if is_whole => {
                self.push(scalar);
                self.push(b".0");
            }
            JsonNumbers::Fraction | JsonNumbers::AsItIs => self.push(scalar),
        }
        Some(())
    }

    fn colon(&mut self) -> Option<()> {
        self.token()?;
        if !matches!(self.style.layout, JsonLayout::AsItIs | JsonLayout::Compact) {
            self.push(b" ");
        }
        self.blanks()
    }

    /// Writes what is between two items.
    fn gap(&mut self) {
        if self.style.layout == JsonLayout::Spaced {
            self.push(b" ");
        }
        self.line();
    }

    fn line(&mut self) {
        let (indent, width) = match self.style.layout {
            JsonLayout::Indented(width) => (&b" "[..], usize::from(width)),
            JsonLayout::Tabs => (&b"\t"[..], 1),
            _ => return,
        };
        self.push(b"\n");
        for _ in 0..self.depth * width {
            self.push(indent);
        }
    }

    /// Writes the one byte that is here.
    fn token(&mut self) -> Option<()> {
        let byte = self.peek()?;
        self.at += 1;
        self.push(&[byte]);
        Some(())
    }

    fn blanks(&mut self) -> Option<()> {
        let start = self.at;
        self.at += self.count_blanks();
        if self.style.layout == JsonLayout::AsItIs {
            self.push(self.body.get(start..self.at)?);
        }
        Some(())
    }

    fn count_blanks(&self) -> usize {
        let rest = self.body.get(self.at..).unwrap_or_default();
        rest.iter().take_while(|byte| is_blank(byte)).count()
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }

    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE {
            (self.out)(&self.buffer);
            self.buffer.clear();
        }
    }
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let point = number.iter().position(|&byte| byte == b'.');
    let Some((whole, zeros)) = point.and_then(|at| number.split_at_checked(at)) else {
        return number;
    };
    if zeros.len() > 1 && zeros.iter().skip(1).all(|&byte| byte == b'0') {
        whole
    } else {
        number
    }
}

fn depth(body: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in body {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = depth.max(deepest);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

const LAYOUTS: [JsonLayout; 6] = [
    JsonLayout::Compact,
    JsonLayout::Spaced,
    JsonLayout::AsItIs,
    JsonLayout::Indented(2),
    JsonLayout::Indented(4),
    JsonLayout::Tabs,
];
const STRINGS: [JsonStrings; 3] = [
    JsonStrings::AsItIs,
    JsonStrings::Escaped,
    JsonStrings::Unescaped,
];
const NUMBERS: [JsonNumbers; 3] = [
    JsonNumbers::AsItIs,
    JsonNumbers::Fraction,
    JsonNumbers::Whole,
];
const MOST_SORTED: usize = 64 << 20;
const PIECE: usize = 16 << 10;
