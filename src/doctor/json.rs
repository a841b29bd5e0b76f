use serde::de::IgnoredAny;

use super::codings::Out;
use super::style::{JsonLayout, JsonNumbers, JsonStrings, JsonStyle};

pub(super) fn is_json(body: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(body).is_ok()
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

const PIECE: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::doctor::style::styles;

    const AS_IT_IS: JsonStyle = JsonStyle {
        layout: JsonLayout::AsItIs,
        is_sorted: false,
        strings: JsonStrings::AsItIs,
        numbers: JsonNumbers::AsItIs,
    };

    fn written(json: &str, style: JsonStyle) -> String {
        let mut written = Vec::new();
        assert!(write(json.as_bytes(), style, &mut |piece| {
            written.extend_from_slice(piece);
        }));
        String::from_utf8(written).unwrap()
    }

    /// From Python 3.12: `json.dumps(json.loads(body), ...)`.
    #[test]
    fn styles_are_those_of_python() {
        let body = "{\"b\":[1.0,-2,{}],\"a\\/\":\"\u{e9}\u{1f600}\\n\\u0001\",\"c\":[]}";
        let escaped = JsonStyle {
            layout: JsonLayout::Spaced,
            strings: JsonStrings::Escaped,
            ..AS_IT_IS
        };
        assert_eq!(
            written(body, escaped),
            r#"{"b": [1.0, -2, {}], "a/": "\u00e9\ud83d\ude00\n\u0001", "c": []}"#
        );
        let sorted = JsonStyle {
            layout: JsonLayout::Indented(2),
            is_sorted: true,
            strings: JsonStrings::Unescaped,
            ..AS_IT_IS
        };
        assert_eq!(
            written(body, sorted),
            "{\n  \"a/\": \"\u{e9}\u{1f600}\\n\\u0001\",\n  \"b\": [\n    1.0,\n    -2,\n    {}\n  ],\n  \"c\": []\n}"
        );
    }

    #[test]
    fn numbers_lose_and_gain_their_zero_and_nothing_else() {
        let body = "[1.0,-0.0,10,1.50,1e3,1.0e3,-7,100.00,0]";
        let numbers = |numbers| JsonStyle {
            numbers,
            ..AS_IT_IS
        };
        assert_eq!(
            written(body, numbers(JsonNumbers::Whole)),
            "[1,-0,10,1.50,1e3,1.0e3,-7,100,0]"
        );
        assert_eq!(
            written(body, numbers(JsonNumbers::Fraction)),
            "[1.0,-0.0,10.0,1.50,1e3,1.0e3,-7.0,100.00,0.0]"
        );
    }

    #[test]
    fn what_is_no_text_stays_as_it_came() {
        let body = r#" { "\ud800" : "\uDC00é" } "#;
        let escaped = JsonStyle {
            strings: JsonStrings::Escaped,
            ..AS_IT_IS
        };
        assert_eq!(written(body, escaped), body);
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
        fn compact_and_indented_are_those_of_serde_json(value in value()) {
            let (compact, pretty) = (value.to_string(), format!("{value:#}"));
            let style = |layout, is_sorted| JsonStyle { layout, is_sorted, ..AS_IT_IS };
            for is_sorted in [false, true] {
                prop_assert_eq!(&written(&pretty, style(JsonLayout::Compact, is_sorted)), &compact);
                prop_assert_eq!(&written(&compact, style(JsonLayout::Indented(2), is_sorted)), &pretty);
            }
            prop_assert_eq!(&written(&pretty, AS_IT_IS), &pretty);
        }

        #[test]
        fn every_style_writes_the_same_value(value in value()) {
            let json = value.to_string();
            for style in styles(json.as_bytes()) {
                let written = written(&json, style);
                if style.numbers == JsonNumbers::AsItIs {
                    prop_assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), value.clone(), "{}", style);
                } else {
                    prop_assert!(is_json(written.as_bytes()), "{written}");
                }
            }
        }

        #[test]
        fn what_is_no_json_is_no_reason_to_panic(text in "[\\[\\]{}\",: \\\\u0-9a]{0,24}") {
            for style in styles(text.as_bytes()) {
                let mut length = 0;
                write(text.as_bytes(), style, &mut |piece| length += piece.len());
                prop_assert!(length < 100 * (text.len() + 1));
            }
        }
    }
}
