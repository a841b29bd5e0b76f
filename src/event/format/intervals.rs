//! Arithmetic over intervals of time.

use std::{collections::HashMap, ops::Range, time::Duration};

use crate::event::{Label, Turn};

pub(in crate::event) type Interval = Range<f64>;

/// Returns the usable intervals of turns, with their speakers.
pub(in crate::event) fn of(turns: &[Turn]) -> impl Iterator<Item = (&Label, Interval)> {
    turns
        .iter()
        .filter(|turn| turn.duration() > 0.0)
        .map(|turn| (&turn.speaker, turn.start..turn.end))
}

/// Returns the seconds from start to end, 0 if that is not a positive, finite number.
pub(in crate::event) fn length(start: f64, end: f64) -> f64 {
    let length = end - start;
    if length.is_finite() && length > 0.0 {
        length
    } else {
        0.0
    }
}

pub(in crate::event) fn total(intervals: &[Interval]) -> f64 {
    sum(intervals
        .iter()
        .map(|interval| interval.end - interval.start))
}

/// Returns the sum, which is 0 for no seconds, where that of the standard library is -0.
pub(in crate::event) fn sum(seconds: impl Iterator<Item = f64>) -> f64 {
    seconds.fold(0.0, |sum, seconds| sum + seconds)
}

/// Tells whether two intervals share time; an empty one does where it lies inside the other.
pub(in crate::event) fn touch(interval: Interval, range: &Interval) -> bool {
    interval.start <= interval.end
        && interval.start < range.end
        && (interval.end > range.start
            || (interval.end == interval.start && interval.start == range.start))
}

/// Returns the speakers, the first heard first.
pub(in crate::event) fn speakers(turns: &[Turn]) -> Vec<&Label> {
    let mut places = HashMap::new();
    let mut speakers: Vec<(&Label, f64)> = Vec::new();
    for turn in turns {
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

/// Returns for each speaker the union of their own turns, the first heard first.
pub(in crate::event) fn by_speaker(turns: &[Turn]) -> Vec<(&Label, Vec<Interval>)> {
    let mut own: HashMap<&Label, Vec<Interval>> = HashMap::new();
    for (label, interval) in of(turns) {
        own.entry(label).or_default().push(interval);
    }
    let speakers = speakers(turns).into_iter();
    speakers
        .map(|label| (label, union(own.remove(label).unwrap_or_default())))
        .collect()
}

/// Merges intervals that overlap or meet.
pub(in crate::event) fn union(mut intervals: Vec<Interval>) -> Vec<Interval> {
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
pub(in crate::event) fn overlap(intervals: impl Iterator<Item = Interval>) -> f64 {
    let edges = intervals.flat_map(|interval| [(interval.start, true), (interval.end, false)]);
    let mut edges: Vec<(f64, bool)> = edges.collect();
    // At one time ends come before starts, so that turns that only meet do not overlap.
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

/// Returns the times of a turn in whole milliseconds, if they can be written and are in order.
pub(in crate::event) fn span(start: f64, end: f64) -> Option<(Duration, Duration)> {
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
