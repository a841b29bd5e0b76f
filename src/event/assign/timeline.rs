use std::time::Duration;

use super::AssignError;
use crate::event::{Label, Turns, format::by_speaker};

/// The turns of all speakers, sorted by start. Turns of one speaker that overlap or meet are one span.
pub(super) struct Timeline<'a> {
    speakers: Vec<&'a Label>,
    spans: Vec<Span>,
}

struct Span {
    start: f64,
    end: f64,
    /// The place of the speaker in [`Timeline::speakers`].
    speaker: usize,
    /// The latest end of this span and all before it.
    latest_end: f64,
    /// The speaker of the span that ends then.
    latest_speaker: usize,
}

impl<'a> Timeline<'a> {
    pub(super) fn new(turns: &'a Turns) -> Self {
        let mut speakers = Vec::new();
        let mut spans = Vec::new();
        for (speaker, (label, intervals)) in by_speaker(turns).into_iter().enumerate() {
            speakers.push(label);
            spans.extend(intervals.into_iter().map(|interval| Span {
                start: interval.start,
                end: interval.end,
                speaker,
                latest_end: interval.end,
                latest_speaker: speaker,
            }));
        }
        spans.sort_by(|a, b| a.start.total_cmp(&b.start));
        let mut latest = (f64::NEG_INFINITY, 0);
        for span in &mut spans {
            if span.end > latest.0 {
                latest = (span.end, span.speaker);
            }
            (span.latest_end, span.latest_speaker) = latest;
        }
        Self { speakers, spans }
    }

    fn label(&self, speaker: usize) -> Label {
        self.speakers
            .get(speaker)
            .copied()
            .cloned()
            .unwrap_or_default()
    }
}

/// A search over a timeline, for words that are sorted by start.
///
/// # Why it is linear
///
/// No word looks at spans that all ended before the word starts, and a word looks no further once a span covers it. If the words
/// do not overlap one another, only a few words therefore look at each span. For words that do, the greatest overlap is the range
/// mode problem, for which no algorithm of nearly linear time is known. So the number of looks is limited.
pub(super) struct Search<'a> {
    timeline: &'a Timeline<'a>,
    /// The greatest distance of a turn from a word that it does not overlap, in seconds.
    limit: f64,
    /// The first span that does not end before the last word started, and neither do all spans before it.
    first: usize,
    /// The overlap of each speaker with the word, in seconds; 0 between words.
    overlaps: Vec<f64>,
    /// The speakers who overlap with the word, in the order in which their spans start; empty between words.
    heard: Vec<usize>,
    /// How many more spans may be looked at.
    budget: usize,
}

impl<'a> Search<'a> {
    pub(super) fn new(timeline: &'a Timeline<'a>, words: usize, limit: Duration) -> Self {
        let items = timeline.spans.len().saturating_add(words);
        Self {
            timeline,
            limit: limit.as_secs_f64(),
            first: 0,
            overlaps: vec![0.0; timeline.speakers.len()],
            heard: Vec::new(),
            budget: items.saturating_mul(LOOKS),
        }
    }

    /// Returns the speaker of a word, and the share of the word in which the speaker speaks.
    ///
    /// The times are finite and in order. `start` is not before that of the last call.
    pub(super) fn speaker_during(
        &mut self,
        start: f64,
        end: f64,
    ) -> Result<(Label, f64), AssignError> {
        let spans = &self.timeline.spans;
        let passed = |span: &Span| span.latest_end <= start;
        while spans.get(self.first).is_some_and(passed) {
            self.first += 1;
        }
        for span in spans.get(self.first..).unwrap_or_default() {
            self.budget = self
                .budget
                .checked_sub(1)
                .ok_or(AssignError::TooManyOverlaps)?;
            // A word without length may start where a span starts.
            if span.start >= end && span.start > start {
                break;
            }
            if span.start <= start && span.end >= end {
                self.forget_overlaps();
                return Ok((self.timeline.label(span.speaker), 1.0));
            }
            let overlap = span.end.min(end) - span.start.max(start);
            if overlap > 0.0 {
                self.add_overlap(span.speaker, overlap);
            }
        }
        Ok(match self.take_greatest_overlap() {
            Some((speaker, overlap)) => {
                let share = (overlap / (end - start)).min(1.0);
                (self.timeline.label(speaker), share)
            }
            None => (self.nearest(start, end), 0.0),
        })
    }

    fn add_overlap(&mut self, speaker: usize, overlap: f64) {
        if let Some(sum) = self.overlaps.get_mut(speaker) {
            if *sum == 0.0 {
                self.heard.push(speaker);
            }
            *sum += overlap;
        }
    }

    /// Returns the speaker with the greatest overlap, the first of equals.
    fn take_greatest_overlap(&mut self) -> Option<(usize, f64)> {
        let overlap_of = |speaker: usize| self.overlaps.get(speaker).copied().unwrap_or_default();
        let overlaps = self
            .heard
            .iter()
            .map(|&speaker| (speaker, overlap_of(speaker)));
        let greatest = overlaps.reduce(|best, next| if next.1 > best.1 { next } else { best });
        self.forget_overlaps();
        greatest
    }

    fn forget_overlaps(&mut self) {
        for speaker in self.heard.drain(..) {
            if let Some(sum) = self.overlaps.get_mut(speaker) {
                *sum = 0.0;
            }
        }
    }

    /// Returns the speaker of the nearest span within the limit, for a word that overlaps with no span.
    fn nearest(&self, start: f64, end: f64) -> Label {
        let spans = &self.timeline.spans;
        // All spans before the first one ended before the word, and it and all spans after it start after the word.
        let before = self.first.checked_sub(1).and_then(|last| spans.get(last));
        let before = before.map(|span| (start - span.latest_end, span.latest_speaker));
        let after = spans.get(self.first);
        let after = after.map(|span| (span.start - end, span.speaker));
        let nearest = match (before, after) {
            (Some(before), Some(after)) if after.0 < before.0 => Some(after),
            (before, after) => before.or(after),
        };
        match nearest {
            Some((distance, speaker)) if distance <= self.limit => self.timeline.label(speaker),
            _ => Label::default(),
        }
    }
}

/// How many spans may be looked at for each word and span, on average. Real transcripts need about two.
const LOOKS: usize = 64;
