//! Plain text, WebVTT and SRT.

use std::{fmt::Write, time::Duration};

use super::intervals::span;
use crate::event::{Segment, Transcript};

impl Transcript {
    /// Returns the text. Each time the speaker changes, a line begins with the speaker's label.
    ///
    /// White space in a segment, line ends included, becomes a single space.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut speaker = None;
        for segment in self {
            let words = one_line(&segment.text);
            if words.is_empty() {
                continue;
            }
            if speaker == Some(&segment.speaker) {
                text.push(' ');
            } else {
                if speaker.is_some() {
                    text.push('\n');
                }
                let label = one_line(&segment.speaker);
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

    /// Writes the transcript as WebVTT subtitles: one cue for each segment, sorted by start, with the speaker as its voice.
    ///
    /// The speakers and times are those of the segments. No turns are read, neither `diarization` nor
    /// `exclusive_diarization`. `turn_level_transcription` makes a cue of each turn, `word_level_transcription` of each word.
    ///
    /// Segments without text or usable times (missing, negative, not in order, beyond 100 hours) are left out.
    #[must_use]
    pub fn to_webvtt(&self) -> String {
        let mut vtt = "WEBVTT\n".to_owned();
        for cue in cues(self) {
            let (start, end) = (clock(cue.start, '.'), clock(cue.end, '.'));
            let text = escape(&cue.text);
            let voice = match cue.speaker.as_str() {
                "" => String::new(),
                speaker => format!("<v {}>", escape(speaker)),
            };
            // Writing to a String cannot fail.
            let _ = write!(vtt, "\n{start} --> {end}\n{voice}{text}\n");
        }
        vtt
    }

    /// Writes the transcript as SRT subtitles: one cue for each segment, sorted by start, with the speaker before the text.
    ///
    /// The speakers and times are those of the segments, as in [`to_webvtt`](Self::to_webvtt).
    ///
    /// Segments without text or usable times (missing, negative, not in order, beyond 100 hours) are left out.
    #[must_use]
    pub fn to_srt(&self) -> String {
        let mut srt = String::new();
        for (number, cue) in (1_u64..).zip(cues(self)) {
            let (start, end) = (clock(cue.start, ','), clock(cue.end, ','));
            let line = match cue.speaker.as_str() {
                "" => cue.text,
                speaker => format!("{speaker}: {}", cue.text),
            };
            // SRT has no escapes, and a parser may read the arrow as a line of times.
            let line = line.replace("-->", "→");
            let gap = if number > 1 { "\n" } else { "" };
            // Writing to a String cannot fail.
            let _ = write!(srt, "{gap}{number}\n{start} --> {end}\n{line}\n");
        }
        srt
    }
}

/// What WebVTT and SRT show of a segment. The text is one line.
struct Cue {
    start: Duration,
    end: Duration,
    speaker: String,
    text: String,
}

/// Returns the cues sorted by start, as WebVTT requires.
fn cues(segments: &[Segment]) -> Vec<Cue> {
    let mut cues: Vec<Cue> = segments
        .iter()
        .filter_map(|segment| {
            let (start, end) = span(segment.start, segment.end)?;
            let text = one_line(&segment.text);
            let speaker = one_line(&segment.speaker);
            (!text.is_empty()).then_some(Cue {
                start,
                end,
                speaker,
                text,
            })
        })
        .collect();
    cues.sort_by_key(|cue| cue.start);
    cues
}

fn clock(time: Duration, point: char) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{hours:02}:{minutes:02}:{seconds:02}{point}{:03}",
        time.subsec_millis()
    )
}

/// Replaces each run of white space and control characters with one space.
fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut line = String::with_capacity(text.len());
    for word in words.filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
