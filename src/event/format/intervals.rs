//! Arithmetic over the times of turns and transcripts.

use std::{collections::HashMap, ops::Range, time::Duration};

use crate::event::{Label, LabelMap, Segment, Transcript, Turn, Turns};

impl Turns {
    /// Returns the speakers, each once, in the order in which they are first heard.
    ///
    /// Speakers without a known time come last.
    #[must_use]
    pub fn speakers(&self) -> Vec<&Label> {
        let mut places = HashMap::new();
        let mut speakers: Vec<(&Label, f64)> = Vec::new();
        for turn in self {
            let heard = if turn.start.is_nan() {
                f64::INFINITY
            } else {
                turn.start
            };
            let place = *places.entry(&turn.speaker).or_insert_with(|| {
                speakers.push((&turn.speaker, heard));
                speakers.len() - 1
            });
            if let Some((_, first)) = speakers.get_mut(place) {
                *first = first.min(heard);
            }
        }
        speakers.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        speakers.into_iter().map(|(label, _)| label).collect()
    }

    /// Returns the end of the last turn, in seconds from the start of the audio; 0 without turns.
    #[must_use]
    pub fn duration(&self) -> f64 {
        let ends = intervals(self).map(|(_, interval)| interval.end);
        ends.fold(0.0, f64::max)
    }

    /// Returns the seconds that all speakers spoke, added up: where two speak at once, each second counts twice.
    #[must_use]
    pub fn talk_time(&self) -> f64 {
        sum(self.talk_times().values().copied())
    }

    /// Returns the seconds that one speaker spoke; overlapping turns of one speaker count once.
    #[must_use]
    pub fn talk_time_of(&self, speaker: &str) -> f64 {
        let own = intervals(self).filter(|(label, _)| *label == speaker);
        total(&union(own.map(|(_, interval)| interval).collect()))
    }

    /// Returns the seconds that each speaker spoke, in the order of [`speakers`](Self::speakers).
    #[must_use]
    pub fn talk_times(&self) -> LabelMap<f64> {
        let by_speaker = by_speaker(self).into_iter();
        by_speaker
            .map(|(label, own)| (label.clone(), total(&own)))
            .collect()
    }

    /// Returns the seconds in which anyone speaks; each second counts once.
    #[must_use]
    pub fn speech_time(&self) -> f64 {
        total(&union(
            intervals(self).map(|(_, interval)| interval).collect(),
        ))
    }

    /// Returns the seconds in which two or more speakers speak at once.
    #[must_use]
    pub fn overlap(&self) -> f64 {
        overlap(by_speaker(self).into_iter().flat_map(|(_, own)| own))
    }

    /// Iterates over the turns that share time with a range, in seconds.
    ///
    /// A turn that only ends where the range starts, or starts where it ends, is left out.
    pub fn between(&self, range: Range<f64>) -> impl Iterator<Item = &Turn> {
        self.iter()
            .filter(move |turn| touch(turn.start..turn.end, &range))
    }
}

impl Transcript {
    /// Iterates over the segments that share time with a range, in seconds.
    ///
    /// A segment that only ends where the range starts, or starts where it ends, is left out.
    pub fn between(&self, range: Range<f64>) -> impl Iterator<Item = &Segment> {
        self.iter()
            .filter(move |segment| touch(segment.start..segment.end, &range))
    }
}

pub(in crate::event) type Interval = Range<f64>;

/// Returns the usable intervals of turns, with their speakers.
fn intervals(turns: &[Turn]) -> impl Iterator<Item = (&Label, Interval)> {
    turns
        .iter()
        .filter(|turn| turn.duration() > 0.0)
        .map(|turn| (&turn.speaker, turn.start..turn.end))
}

fn total(intervals: &[Interval]) -> f64 {
    sum(intervals
        .iter()
        .map(|interval| interval.end - interval.start))
}

/// Returns the sum, which is 0 for no seconds. The standard library would return -0.
fn sum(seconds: impl Iterator<Item = f64>) -> f64 {
    seconds.fold(0.0, |sum, seconds| sum + seconds)
}

/// Returns whether two intervals share time; an empty interval does if it is inside the other.
fn touch(interval: Interval, range: &Interval) -> bool {
    interval.start <= interval.end
        && interval.start < range.end
        && (interval.end > range.start
            || (interval.end == interval.start && interval.start == range.start))
}

/// Returns the union of each speaker's turns, in the order of [`Turns::speakers`].
pub(in crate::event) fn by_speaker(turns: &Turns) -> Vec<(&Label, Vec<Interval>)> {
    let mut own: HashMap<&Label, Vec<Interval>> = HashMap::new();
    for (label, interval) in intervals(turns) {
        own.entry(label).or_default().push(interval);
    }
    let speakers = turns.speakers().into_iter();
    speakers
        .map(|label| (label, union(own.remove(label).unwrap_or_default())))
        .collect()
}

/// Merges intervals that overlap or meet.
fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
    intervals.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut merged: Vec<Interval> = Vec::new();
    for interval in intervals {
        match merged.last_mut() {
            Some(last) if interval.start <= last.end => last.end = last.end.max(interval.end),
            _ => merged.push(interval),
        }
    }
    merged
}

/// Returns the seconds that lie in two or more of the intervals.
fn overlap(intervals: impl Iterator<Item = Interval>) -> f64 {
    let edges = intervals.flat_map(|interval| [(interval.start, true), (interval.end, false)]);
    let mut edges: Vec<(f64, bool)> = edges.collect();
    // At equal times ends come before starts, so that turns that only meet do not overlap.
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut open = 0_usize;
    let mut since = 0.0;
    let mut seconds = 0.0;
    for (time, opens) in edges {
        if open >= 2 {
            seconds += time - since;
        }
        since = time;
        open = if opens {
            open + 1
        } else {
            open.saturating_sub(1)
        };
    }
    seconds
}

/// Returns the times of a turn in whole milliseconds, if the formats can write them and they are in order.
pub(super) fn span(start: f64, end: f64) -> Option<(Duration, Duration)> {
    let (start, end) = (milliseconds(start)?, milliseconds(end)?);
    (start < end).then_some((start, end))
}

fn milliseconds(seconds: f64) -> Option<Duration> {
    let time = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|time| *time < LATEST)?;
    let rounded = time + Duration::from_micros(500);
    Some(Duration::new(
        rounded.as_secs(),
        rounded.subsec_millis() * 1_000_000,
    ))
}

/// Audio lasts 24 hours at most, and SRT writes hours in two digits.
const LATEST: Duration = Duration::from_secs(100 * 3600 - 1);
