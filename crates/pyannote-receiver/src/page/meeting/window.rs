use tower_pyannote::event::Turn;

use super::{LONGEST, Mark, Meeting, Word};
use crate::{
    api::{Lane, MeetingWindow, Span, Words},
    page::number::{float, score},
};

/// A part of a meeting, and how finely it is shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct View {
    from: f64,
    to: f64,
    buckets: usize,
}

impl View {
    /// Creates a view of a meeting of `duration` seconds. Corrects times outside of the meeting, and a part that is too short.
    pub(crate) fn new(duration: f64, from: Option<f64>, to: Option<f64>, buckets: usize) -> Self {
        let duration = duration.max(SHORTEST);
        let usable = |second: Option<f64>| second.filter(|second| second.is_finite());
        let to = usable(to).unwrap_or(duration).clamp(SHORTEST, duration);
        let from = usable(from).unwrap_or(0.0).clamp(0.0, to - SHORTEST);
        Self {
            from,
            to,
            buckets: buckets.clamp(1, MOST_BUCKETS),
        }
    }
}

impl Meeting {
    /// Reduces a part of the meeting to what `view` can show.
    pub(crate) fn window(&self, view: View) -> MeetingWindow {
        let View { from, to, buckets } = view;
        let bucket = (to - from) / float(buckets);
        // A curve with a point every other pixel looks the same.
        let points = buckets.div_ceil(2);
        let lanes = self.lanes.iter().map(|lane| Lane {
            speaker: lane.label.clone(),
            talk_time: lane.talk_time,
            turns: lane.turns.len(),
            spans: spans(&lane.turns, from, to, bucket),
            exclusive: spans(&lane.exclusive, from, to, bucket),
            curve: lane.curve.as_ref().map(|it| it.window(from, to, points)),
        });
        MeetingWindow {
            duration: self.duration,
            from,
            to,
            speech_time: self.speech_time,
            overlap: self.overlap,
            lanes: lanes.collect(),
            curves: self
                .curves
                .iter()
                .map(|it| it.window(from, to, points))
                .collect(),
            words: self.words(from, to, MOST_WORDS),
        }
    }

    /// Returns the words between two times, or the text of turns if there are no words. `None` if there are more than `most`.
    pub(crate) fn words(&self, from: f64, to: f64, most: usize) -> Option<Vec<Words>> {
        let all = if self.words.is_empty() {
            &self.texts
        } else {
            &self.words
        };
        between(all, from, to, most)
    }

    /// Returns the text of turns between two times. `None` if there are more than `most`.
    pub(crate) fn texts(&self, from: f64, to: f64, most: usize) -> Option<Vec<Words>> {
        between(&self.texts, from, to, most)
    }
}

fn between(words: &[Word], from: f64, to: f64, most: usize) -> Option<Vec<Words>> {
    let within = words
        .iter()
        .filter(|word| word.end > from && word.start < to);
    let within: Vec<_> = within.take(most + 1).collect();
    (within.len() <= most).then(|| {
        let within = within.into_iter();
        within
            .map(|word| Words {
                start: word.start,
                end: word.end,
                speaker: word.speaker.clone(),
                text: word.text.clone(),
            })
            .collect()
    })
}

/// Returns the usable times of a turn, with the confidence of its own speaker.
pub(super) fn mark(turn: &Turn) -> Option<Mark> {
    let (start, end) = (turn.start, turn.end);
    let is_usable = start >= 0.0 && end > start && end <= LONGEST;
    let confidence = turn.confidence.get(turn.speaker.as_str());
    is_usable.then(|| Mark {
        start,
        end,
        confidence: confidence.and_then(|&it| score(it)),
    })
}

/// Returns the turns of a part. Turns closer than a bucket are one span, because a screen cannot separate them.
fn spans(marks: &[Mark], from: f64, to: f64, bucket: f64) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for mark in marks
        .iter()
        .filter(|mark| mark.end > from && mark.start < to)
    {
        let is_full = spans.len() >= MOST_SPANS;
        let last = spans.last_mut();
        let is_short =
            |span: &Span| mark.end - mark.start < bucket || span.end - span.start < bucket;
        let is_near = |span: &Span| mark.start - span.end < bucket && is_short(span);
        match last.filter(|span| is_full || is_near(span)) {
            Some(span) => {
                span.end = span.end.max(mark.end);
                span.turns += 1;
                span.confidence = [span.confidence, mark.confidence]
                    .into_iter()
                    .flatten()
                    .min();
            }
            None => spans.push(Span {
                start: mark.start,
                end: mark.end,
                turns: 1,
                confidence: mark.confidence,
            }),
        }
    }
    spans
}

/// The shortest part that is shown, in seconds.
const SHORTEST: f64 = 0.1;

/// More than a screen is wide.
const MOST_BUCKETS: usize = 4_000;

const MOST_WORDS: usize = 500;

/// The spans of a lane. Turns that do not overlap have fewer at any width; further ones join the last.
const MOST_SPANS: usize = 2 * MOST_BUCKETS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_stays_within_the_meeting() {
        let view = |from, to| View::new(100.0, from, to, 10);
        let expect = |from, to| View {
            from,
            to,
            buckets: 10,
        };
        assert_eq!(view(None, None), expect(0.0, 100.0));
        assert_eq!(view(Some(-5.0), Some(1e9)), expect(0.0, 100.0));
        assert_eq!(
            view(Some(f64::NAN), Some(f64::INFINITY)),
            expect(0.0, 100.0)
        );
        assert_eq!(view(Some(50.0), Some(20.0)), expect(19.9, 20.0));
        assert_eq!(
            View::new(0.0, None, None, 0),
            View {
                from: 0.0,
                to: 0.1,
                buckets: 1
            }
        );
        assert_eq!(View::new(f64::NAN, None, None, 9_999).buckets, MOST_BUCKETS);
    }

    #[test]
    fn turns_that_overlap_have_a_limited_number_of_spans() {
        let marks: Vec<_> = (0..3 * MOST_SPANS)
            .map(|number| Mark {
                start: float(number) * 0.001,
                end: 1_000.0 + float(number),
                confidence: None,
            })
            .collect();
        let spans = spans(&marks, 0.0, LONGEST, 1.0);
        assert_eq!(spans.len(), MOST_SPANS);
        let turns: u32 = spans.iter().map(|span| span.turns).sum();
        assert_eq!(turns, u32::try_from(marks.len()).unwrap());
        let last = marks.last().unwrap().end;
        assert_eq!(spans.last().unwrap().end, last);
    }

    #[test]
    fn short_turns_that_a_screen_cannot_separate_are_one_span() {
        let marks: Vec<_> = (0..1_000_u16)
            .map(|n| Mark {
                start: f64::from(n),
                end: f64::from(n) + 0.5,
                confidence: Some(u8::try_from(n % 100).unwrap()),
            })
            .collect();
        let whole = spans(&marks, 0.0, 1_000.0, 100.0);
        assert!(whole.len() <= 10, "{}", whole.len());
        assert_eq!(whole.iter().map(|span| span.turns).sum::<u32>(), 1_000);
        let close = spans(&marks, 10.0, 12.0, 0.01);
        let close: Vec<_> = close.iter().map(|span| (span.start, span.turns)).collect();
        assert_eq!(close, [(10.0, 1), (11.0, 1)]);
    }
}
