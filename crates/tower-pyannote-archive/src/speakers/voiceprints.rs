use std::{fmt, vec};

use super::{Record, SpeakersError};

/// At most 50 labels and their voiceprints, to pass to an identification.
///
/// Iterates over pairs of label and voiceprint. `Debug` shows only the lengths of the voiceprints.
#[derive(Clone, Default)]
pub struct Voiceprints(Vec<(String, String)>);

impl Voiceprints {
    pub(super) fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let pairs = records
            .into_iter()
            .map(|record| (record.label, record.voiceprint));
        Self(pairs.collect())
    }

    /// Iterates over pairs of label and voiceprint.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(label, voiceprint)| (label.as_str(), voiceprint.as_str()))
    }
}

impl IntoIterator for Voiceprints {
    type Item = (String, String);
    type IntoIter = vec::IntoIter<(String, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Debug for Voiceprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (label, voiceprint) in self.iter() {
            map.entry(&label, &format_args!("[{} bytes]", voiceprint.len()));
        }
        map.finish()
    }
}

pub(super) fn check_label(label: &str) -> Result<(), SpeakersError> {
    let prefix = label.get(..RESERVED_PREFIX.len()).unwrap_or_default();
    let reason = if label.is_empty() {
        "is empty"
    } else if label.chars().count() > MAX_LABEL_CHARS {
        "is longer than 100 characters"
    } else if prefix.eq_ignore_ascii_case(RESERVED_PREFIX) {
        "begins with SPEAKER_, which is reserved for speakers without a match"
    } else {
        return Ok(());
    };
    Err(SpeakersError::InvalidLabel { reason })
}

pub(super) fn check_voiceprint(voiceprint: &str) -> Result<(), SpeakersError> {
    let reason = if voiceprint.is_empty() {
        "is empty"
    } else if voiceprint.chars().count() > MAX_VOICEPRINT_CHARS {
        "is longer than 20,000 characters"
    } else {
        return Ok(());
    };
    Err(SpeakersError::InvalidVoiceprint { reason })
}

const RESERVED_PREFIX: &str = "SPEAKER_";
const MAX_LABEL_CHARS: usize = 100;
const MAX_VOICEPRINT_CHARS: usize = 20_000;
