use std::ops::{Deref, Range};

use serde::Serialize;

use super::{
    Label, LabelMap,
    format::{intervals, rttm},
    json,
};

/// A stretch of audio in which one speaker speaks.
///
/// Times are seconds from the start of the audio. A time that was not sent is NaN, and such a turn
/// counts nowhere in the helpers of [`Turns`] that deal with time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Turn {
    /// Who speaks; empty if it was not sent.
    pub speaker: Label,
    /// When the turn begins, in seconds.
    pub start: f64,
    /// When the turn ends, in seconds.
    pub end: f64,
    /// How sure it is of each speaker, from 0 to 100; empty if it was not sent.
    #[serde(skip_serializing_if = "LabelMap::is_empty")]
    pub confidence: LabelMap<f32>,
}

impl Turn {
    /// Creates a turn without confidence.
    #[must_use]
    pub fn new(speaker: impl Into<Label>, start: f64, end: f64) -> Self {
        Self {
            speaker: speaker.into(),
            start,
            end,
            confidence: LabelMap::new(),
        }
    }

    /// Returns the seconds from start to end, 0 if that is not a positive, finite number.
    #[must_use]
    pub fn duration(&self) -> f64 {
        intervals::length(self.start, self.end)
    }
}

read_object!(Turn {
    "speaker" => speaker: Label = Label::default(),
    "start" => start: f64 = f64::NAN,
    "end" => end: f64 = f64::NAN,
    "confidence" => confidence: LabelMap<f32> = LabelMap::new(),
});

/// The turns of a recording, in the order in which they were sent.
///
/// It is a slice of [`Turn`]s with helpers. Wherever they deal with time, turns whose times are
/// missing, infinite or not in order are left out.
///
/// ```
/// use tower_pyannote::event::{Turn, Turns};
///
/// let turns: Turns = [
///     Turn::new("SPEAKER_00", 0.0, 10.0),
///     Turn::new("SPEAKER_01", 8.0, 12.0),
/// ]
/// .into_iter()
/// .collect();
///
/// assert_eq!(turns.speakers(), ["SPEAKER_00", "SPEAKER_01"]);
/// assert_eq!(turns.talk_time_of("SPEAKER_01"), 4.0);
/// assert_eq!(turns.talk_time(), 14.0);
/// assert_eq!(turns.speech_time(), 12.0);
/// assert_eq!(turns.overlap(), 2.0);
/// assert_eq!(turns.between(0.0..5.0).count(), 1);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Turns(Vec<Turn>);

impl Turns {
    /// Returns the speakers, each once, in the order in which they are first heard.
    ///
    /// Those of whom no time is known come last.
    #[must_use]
    pub fn speakers(&self) -> Vec<&Label> {
        intervals::speakers(self)
    }

    /// Returns the end of the last turn, in seconds from the start of the audio; 0 without turns.
    #[must_use]
    pub fn duration(&self) -> f64 {
        intervals::of(self)
            .map(|(_, interval)| interval.end)
            .fold(0.0, f64::max)
    }

    /// Returns the seconds that all speakers spoke, each on their own: seconds in which two speak
    /// at once count twice.
    #[must_use]
    pub fn talk_time(&self) -> f64 {
        intervals::sum(self.talk_times().values().copied())
    }

    /// Returns the seconds that one speaker spoke; overlapping turns of one speaker count once.
    #[must_use]
    pub fn talk_time_of(&self, speaker: &str) -> f64 {
        let of = intervals::of(self).filter(|(label, _)| *label == speaker);
        intervals::total(&intervals::union(
            of.map(|(_, interval)| interval).collect(),
        ))
    }

    /// Returns the seconds that each speaker spoke, in the order of [`speakers`](Self::speakers).
    #[must_use]
    pub fn talk_times(&self) -> LabelMap<f64> {
        let by_speaker = intervals::by_speaker(self);
        by_speaker
            .into_iter()
            .map(|(label, own)| (label.clone(), intervals::total(&own)))
            .collect()
    }

    /// Returns the seconds in which anyone speaks; each second counts once.
    #[must_use]
    pub fn speech_time(&self) -> f64 {
        intervals::total(&intervals::union(
            intervals::of(self).map(|(_, interval)| interval).collect(),
        ))
    }

    /// Returns the seconds in which two or more speakers speak at once.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        let by_speaker = intervals::by_speaker(self);
        intervals::overlap(by_speaker.into_iter().flat_map(|(_, own)| own))
    }

    /// Iterates over the turns that share some time with a range, in seconds.
    ///
    /// A turn that only ends where the range starts, or starts where it ends, is not among them.
    pub fn between(&self, range: Range<f64>) -> impl Iterator<Item = &Turn> {
        self.iter()
            .filter(move |turn| intervals::touch(turn.start..turn.end, &range))
    }

    /// Writes the turns as RTTM, the format of diarization benchmarks, a line a turn.
    ///
    /// `uri` names the recording. White space in it and in labels becomes `_`, an empty one `<NA>`;
    /// turns without usable times (missing, negative, not in order, beyond 100 hours) are left out.
    #[must_use]
    pub fn to_rttm(&self, uri: &str) -> String {
        rttm::write(self, uri)
    }
}

list_of!(Turns, Turn);
