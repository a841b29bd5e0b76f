use std::ops::Deref;

use serde::Serialize;

use super::{Label, Text};

/// A word or a turn of a transcript.
///
/// Times are seconds from the start of the audio, NaN if they were not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Segment {
    /// The start, in seconds.
    pub start: f64,
    /// The end, in seconds.
    pub end: f64,
    /// The words.
    pub text: Text,
    /// The speaker; empty if it was not sent.
    pub speaker: Label,
}

impl Segment {
    /// Creates a segment.
    #[must_use]
    pub fn new(speaker: impl Into<Label>, start: f64, end: f64, text: impl Into<Text>) -> Self {
        Self {
            start,
            end,
            text: text.into(),
            speaker: speaker.into(),
        }
    }
}

read_object!(Segment {
    "start" => start: f64 = f64::NAN,
    "end" => end: f64 = f64::NAN,
    "text" => text: Text = Text::default(),
    "speaker" => speaker: Label = Label::default(),
});

/// The transcript of a recording, by words or by turns, in the order in which it was sent.
///
/// `Transcript` derefs to a slice of [`Segment`]s.
///
/// ```
/// use tower_pyannote::event::{Segment, Transcript};
///
/// let transcript: Transcript = [
///     Segment::new("SPEAKER_00", 0.0, 0.4, "Good"),
///     Segment::new("SPEAKER_00", 0.4, 0.9, "morning."),
///     Segment::new("SPEAKER_01", 1.5, 1.8, "Hi!"),
/// ]
/// .into_iter()
/// .collect();
///
/// assert_eq!(transcript.text(), "SPEAKER_00: Good morning.\nSPEAKER_01: Hi!\n");
/// assert!(transcript.to_webvtt().ends_with("00:00:01.500 --> 00:00:01.800\n<v SPEAKER_01>Hi!\n"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Transcript(Vec<Segment>);

list_of!(Transcript, Segment);
