use std::ops::{Deref, Range};

use serde::Serialize;

use super::{
    Label, Text,
    format::{captions, intervals},
    json,
};

/// A word or a turn of a transcript.
///
/// Times are seconds from the start of the audio, NaN if they were not sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Segment {
    /// When it begins, in seconds.
    pub start: f64,
    /// When it ends, in seconds.
    pub end: f64,
    /// What is said.
    pub text: Text,
    /// Who says it; empty if it was not sent.
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

/// What was said, by words or by turns, in the order in which it was sent.
///
/// It is a slice of [`Segment`]s with helpers.
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

impl Transcript {
    /// Returns the text, a line each time that the speaker changes, led by the speaker's label.
    ///
    /// White space in a segment, line ends included, becomes a single space.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut speaker = None;
        for segment in self {
            let words = captions::one_line(&segment.text);
            if words.is_empty() {
                continue;
            }
            if speaker == Some(&segment.speaker) {
                text.push(' ');
            } else {
                if speaker.is_some() {
                    text.push('\n');
                }
                let label = captions::one_line(&segment.speaker);
                if !label.is_empty() {
                    text.push_str(&label);
                    text.push_str(": ");
                }
                speaker = Some(&segment.speaker);
            }
            text.push_str(&words);
        }
        if speaker.is_some() {
            text.push('\n');
        }
        text
    }

    /// Iterates over the segments that share some time with a range, in seconds.
    ///
    /// A segment that only ends where the range starts, or starts where it ends, is not among them.
    pub fn between(&self, range: Range<f64>) -> impl Iterator<Item = &Segment> {
        self.iter()
            .filter(move |segment| intervals::touch(segment.start..segment.end, &range))
    }

    /// Writes the transcript as WebVTT subtitles, a cue a segment, sorted by start, with the
    /// speaker as the cue's voice.
    ///
    /// Segments without text or usable times (missing, negative, not in order, beyond 100 hours)
    /// are left out.
    #[must_use]
    pub fn to_webvtt(&self) -> String {
        captions::webvtt(self)
    }

    /// Writes the transcript as SRT subtitles, a cue a segment, sorted by start, with the speaker
    /// before the text.
    ///
    /// Segments without text or usable times (missing, negative, not in order, beyond 100 hours)
    /// are left out.
    #[must_use]
    pub fn to_srt(&self) -> String {
        captions::srt(self)
    }
}

list_of!(Transcript, Segment);
