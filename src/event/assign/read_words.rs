use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

use super::{error::ReadWordsError, turn_level::is_unspaced};
use crate::event::{Label, Segment, Transcript};

/// Reads the words of a transcript from the JSON of a speech recognizer of the Whisper family.
///
/// | recognizer | how to get the JSON | what is read |
/// |---|---|---|
/// | whisper.cpp | `--output-json-full` | the tokens of `transcription`, joined into words |
/// | whisper.cpp | `--output-json`, best with `--max-len 1 --split-on-word` | `transcription` |
/// | OpenAI's API | `verbose_json` with `timestamp_granularities[]=word` | `words` |
/// | openai-whisper | `--output_format json --word_timestamps True` | `words` of `segments` |
/// | faster-whisper | a list of segments by `dataclasses.asdict`, with `word_timestamps=True` | `words` of each segment |
/// | WhisperX | `--output_format json` | `words` of `segments` |
///
/// A segment without words is read as one long word. Words without times have NaN. The text of a word is kept as it is, with
/// its leading space if there is one. Words without text are left out, and so are the special tokens of whisper.cpp.
///
/// whisper.cpp may split a character between two tokens, so that its JSON is not UTF-8. The words are read whole nevertheless.
///
/// Reading takes at most about 15 bytes of memory for each byte of the JSON.
///
/// # Errors
///
/// Returns [`ReadWordsError::Syntax`] if the text is not JSON, [`ReadWordsError::Shape`] if a value has another type than the
/// formats allow, and [`ReadWordsError::UnknownFormat`] if the JSON has none of their keys.
///
/// # Example
///
/// ```
/// use tower_pyannote::event::read_words;
///
/// let words = read_words(r#"{"words": [{"word": "Hi", "start": 0.5, "end": 0.8}]}"#)?;
/// assert_eq!(words[0].text, "Hi");
/// assert_eq!(words[0].start, 0.5);
/// # Ok::<(), tower_pyannote::event::ReadWordsError>(())
/// ```
pub fn read_words(json: impl AsRef<[u8]>) -> Result<Transcript, ReadWordsError> {
    let json = json.as_ref();
    let words = if json.trim_ascii_start().starts_with(b"[") {
        serde_json::from_slice::<Words<Item>>(json)?.words
    } else {
        let document: Document = serde_json::from_slice(json)?;
        document.words().ok_or(ReadWordsError::UnknownFormat)?
    };
    Ok(words.into())
}

/// A document of any of the formats.
#[derive(Deserialize)]
struct Document {
    transcription: Option<Words<CppSegment>>,
    segments: Option<Words<Item>>,
    words: Option<Words<Item>>,
    word_segments: Option<Words<Item>>,
}

impl Document {
    /// Returns the words, else the segments; `None` if the document has no list of either.
    fn words(self) -> Option<Vec<Segment>> {
        if let Some(segments) = self.transcription {
            return Some(segments.words);
        }
        let words = self.words.or(self.word_segments);
        let list = match (self.segments, words) {
            (Some(segments), Some(words)) if segments.nested || words.words.is_empty() => segments,
            (_, Some(words)) => words,
            (segments, None) => segments?,
        };
        Some(list.words)
    }
}

/// A list of words, or of segments that hold words. It keeps no item as such, so that the memory stays small.
struct Words<T> {
    words: Vec<Segment>,
    /// Whether a segment holds words.
    nested: bool,
    items: PhantomData<T>,
}

impl<'de, T: Unit<'de>> Deserialize<'de> for Words<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let empty = Self {
            words: Vec::new(),
            nested: false,
            items: PhantomData,
        };
        deserializer.deserialize_seq(empty)
    }
}

impl<'de, T: Unit<'de>> Visitor<'de> for Words<T> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of words or segments")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Self, A::Error> {
        while let Some(item) = items.next_element::<T>()? {
            let (whole, words) = item.split();
            if words.is_empty() {
                self.words.extend(whole.filter(has_text));
            } else {
                self.nested = true;
                self.words.extend(words);
            }
        }
        Ok(self)
    }
}

/// An item of a list of words or segments.
trait Unit<'de>: Deserialize<'de> {
    /// Returns the item as one word, and the words in it.
    fn split(self) -> (Option<Segment>, Vec<Segment>);
}

/// A word or a segment of any format but that of whisper.cpp.
#[derive(Deserialize)]
struct Item {
    start: Option<f64>,
    end: Option<f64>,
    word: Option<Bytes>,
    text: Option<Bytes>,
    words: Option<Words<Self>>,
}

impl Unit<'_> for Item {
    fn split(self) -> (Option<Segment>, Vec<Segment>) {
        let text = self.word.or(self.text);
        let whole = text.map(|text| segment(self.start, self.end, &text));
        (whole, self.words.map_or_else(Vec::new, |list| list.words))
    }
}

/// A segment of whisper.cpp.
#[derive(Deserialize)]
struct CppSegment {
    offsets: Option<Offsets>,
    text: Option<Bytes>,
    tokens: Option<CppTokens>,
}

impl Unit<'_> for CppSegment {
    fn split(self) -> (Option<Segment>, Vec<Segment>) {
        let (start, end) = self.offsets.unwrap_or_default().seconds();
        let whole = self.text.map(|text| segment(start, end, &text));
        (whole, self.tokens.map_or_else(Vec::new, |tokens| tokens.0))
    }
}

/// The words that the tokens of a segment of whisper.cpp make up.
struct CppTokens(Vec<Segment>);

impl<'de> Deserialize<'de> for CppTokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Self(Vec::new()))
    }
}

impl<'de> Visitor<'de> for CppTokens {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tokens")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut tokens: A) -> Result<Self, A::Error> {
        let mut word: Option<(Bytes, Offsets)> = None;
        while let Some(CppToken { offsets, text }) = tokens.next_element()? {
            let Some(text) = text.filter(|text| !text.is_special()) else {
                continue;
            };
            let offsets = offsets.unwrap_or_default();
            match &mut word {
                Some((so_far, times)) if so_far.continues_with(&text) => {
                    so_far.0.extend(text.0);
                    times.from = times.from.or(offsets.from);
                    times.to = offsets.to.or(times.to);
                }
                _ => self.finish(word.replace((text, offsets))),
            }
        }
        self.finish(word);
        Ok(self)
    }
}

impl CppTokens {
    fn finish(&mut self, word: Option<(Bytes, Offsets)>) {
        let word = word.map(|(text, offsets)| {
            let (start, end) = offsets.seconds();
            segment(start, end, &text)
        });
        self.0.extend(word.filter(has_text));
    }
}

#[derive(Deserialize)]
struct CppToken {
    offsets: Option<Offsets>,
    text: Option<Bytes>,
}

/// Times in milliseconds.
#[derive(Default, Deserialize)]
struct Offsets {
    from: Option<f64>,
    to: Option<f64>,
}

impl Offsets {
    fn seconds(&self) -> (Option<f64>, Option<f64>) {
        let seconds = |milliseconds| milliseconds / 1_000.0;
        (self.from.map(seconds), self.to.map(seconds))
    }
}

/// The bytes of a string that may not be UTF-8.
struct Bytes(Vec<u8>);

impl Bytes {
    /// Returns whether this is a special token of whisper.cpp, such as `[_BEG_]`, `[_TT_150]` or `<|en|>`.
    fn is_special(&self) -> bool {
        let text = self.0.as_slice();
        (text.starts_with(b"[_") && text.ends_with(b"]"))
            || (text.starts_with(b"<|") && text.ends_with(b"|>"))
    }

    /// Returns whether `next` continues this word: it begins with no space, and is no word in a script without spaces.
    fn continues_with(&self, next: &Self) -> bool {
        if next.0.first().is_some_and(u8::is_ascii_whitespace) {
            return false;
        }
        let unspaced = |c: Option<char>| c.is_some_and(is_unspaced);
        !(unspaced(self.last_char()) && unspaced(next.first_char()))
    }

    /// Returns the first character; `None` if it is incomplete.
    fn first_char(&self) -> Option<char> {
        let prefixes = (1..=MAX_CHAR).filter_map(|length| self.0.get(..length));
        let mut valid = prefixes.filter_map(|prefix| std::str::from_utf8(prefix).ok());
        valid.next()?.chars().next()
    }

    /// Returns the last character; `None` if it is incomplete.
    fn last_char(&self) -> Option<char> {
        let starts = (1..=MAX_CHAR).filter_map(|length| self.0.len().checked_sub(length));
        let suffixes = starts.filter_map(|start| self.0.get(start..));
        let mut valid = suffixes.filter_map(|suffix| std::str::from_utf8(suffix).ok());
        valid.next()?.chars().next()
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Bytes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
        Ok(Bytes(bytes.to_vec()))
    }
}

fn segment(start: Option<f64>, end: Option<f64>, text: &Bytes) -> Segment {
    let text = String::from_utf8_lossy(&text.0);
    let (start, end) = (start.unwrap_or(f64::NAN), end.unwrap_or(f64::NAN));
    Segment::new(Label::default(), start, end, &*text)
}

fn has_text(word: &Segment) -> bool {
    !word.text.trim().is_empty()
}

/// The most bytes of a character in UTF-8.
const MAX_CHAR: usize = 4;
