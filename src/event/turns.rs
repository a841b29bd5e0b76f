use std::ops::Deref;

use serde::Serialize;

use super::{Label, LabelMap};

/// A stretch of audio in which one speaker speaks.
///
/// Times are seconds from the start of the audio. A time that was not sent is NaN, and the helpers of [`Turns`] that deal with
/// time leave such a turn out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Turn {
    /// The speaker; empty if it was not sent.
    pub speaker: Label,
    /// The start of the turn, in seconds.
    pub start: f64,
    /// The end of the turn, in seconds.
    pub end: f64,
    /// The confidence in each speaker, from 0 to 100; empty if it was not sent.
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
        let duration = self.end - self.start;
        if duration.is_finite() && duration > 0.0 {
            duration
        } else {
            0.0
        }
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
/// `Turns` derefs to a slice of [`Turn`]s. The helpers that deal with time leave out turns whose times are missing, infinite
/// or not in order.
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

list_of!(Turns, Turn);
