use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::json::{self, ALLOCATION};

/// The label of a speaker: `SPEAKER_00` and so on from diarization, or a name given to a voiceprint.
///
/// `Label` derefs to [`str`], compares with strings directly, is 16 bytes wide and cheap to clone. The labels `SPEAKER_00` to
/// `SPEAKER_99` never allocate.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(Repr);

/// Each string has exactly one representation, so equality can be derived.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Repr {
    /// `SPEAKER_nn` by its number, or the empty label as [`EMPTY`].
    Known(u8),
    Other(Arc<str>),
}

impl Label {
    /// Borrows the label as a `str`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Known(number) => NUMBERED.get(usize::from(*number)).map_or("", |label| {
                // The table holds ASCII only.
                std::str::from_utf8(label).unwrap_or_default()
            }),
            Repr::Other(label) => label,
        }
    }

    /// Returns the heap that the label takes, in bytes.
    fn heap(&self) -> usize {
        match &self.0 {
            Repr::Known(_) => 0,
            Repr::Other(label) => label.len() + ALLOCATION,
        }
    }
}

impl Default for Label {
    fn default() -> Self {
        Self(Repr::Known(EMPTY))
    }
}

impl From<&str> for Label {
    #[inline]
    fn from(label: &str) -> Self {
        match known(label) {
            Some(number) => Self(Repr::Known(number)),
            None => Self(Repr::Other(label.into())),
        }
    }
}

impl From<String> for Label {
    fn from(label: String) -> Self {
        Self::from(label.as_str())
    }
}

impl PartialOrd for Label {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Label {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Label {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

string_like!(Label);

#[inline]
fn known(label: &str) -> Option<u8> {
    match label.as_bytes().strip_prefix(b"SPEAKER_") {
        Some([tens @ b'0'..=b'9', ones @ b'0'..=b'9']) => Some((tens - b'0') * 10 + (ones - b'0')),
        None if label.is_empty() => Some(EMPTY),
        _ => None,
    }
}

const EMPTY: u8 = 100;

static NUMBERED: [[u8; 10]; 100] = numbered();

const fn numbered() -> [[u8; 10]; 100] {
    let mut labels = [*b"SPEAKER_00"; 100];
    let mut index = 0;
    let mut tens = b'0';
    while tens <= b'9' {
        let mut ones = b'0';
        while ones <= b'9' {
            labels[index][8] = tens;
            labels[index][9] = ones;
            index += 1;
            ones += 1;
        }
        tens += 1;
    }
    labels
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashSet};

    use super::*;

    #[test]
    fn label_is_16_bytes_wide() {
        assert_eq!(size_of::<Label>(), 16);
    }

    #[test]
    fn numbered_labels_do_not_allocate() {
        for number in 0..100_u8 {
            let text = format!("SPEAKER_{number:02}");
            let label = Label::from(text.as_str());
            assert_eq!(label.0, Repr::Known(number));
            assert_eq!(label, *text);
        }
        assert_eq!(Label::from("").0, Repr::Known(EMPTY));
        assert_eq!(Label::default(), "");
    }

    #[test]
    fn other_labels_are_kept_as_they_are() {
        let others = [
            "SPEAKER_",
            "SPEAKER_0",
            "SPEAKER_000",
            "SPEAKER_0a",
            "SPEAKER_٠٠",
            "speaker_00",
            "SPEAKER-00",
            " SPEAKER_00",
            "FEE041",
            "Zoë",
            "\0",
        ];
        for text in others {
            let label = Label::from(text);
            assert!(matches!(label.0, Repr::Other(_)), "{text}");
            assert_eq!(label, text);
            assert_eq!(label.to_string(), text);
        }
    }

    #[test]
    fn labels_hash_and_sort_as_strings() {
        let texts = ["SPEAKER_10", "SPEAKER_1", "Ann", "", "SPEAKER_09", "zoe"];
        let hashed: HashSet<Label> = texts.into_iter().map(Label::from).collect();
        let sorted: BTreeSet<Label> = texts.into_iter().map(Label::from).collect();
        assert!(
            texts
                .iter()
                .all(|text| hashed.contains(*text) && sorted.contains(*text))
        );
        let mut expected = texts;
        expected.sort_unstable();
        assert_eq!(sorted.into_iter().collect::<Vec<_>>(), expected);
    }
}
