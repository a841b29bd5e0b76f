use std::fmt;

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
