use std::{collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};
use tower_pyannote::event::{
    AssignError, AssignedWords, Segment, Transcript, Turn, Turns, assign_speakers,
    assign_speakers_within,
};

use crate::diarization;

fn turns<const N: usize>(turns: [(&str, f64, f64); N]) -> Turns {
    let turn = |(speaker, start, end)| Turn::new(speaker, start, end);
    turns.into_iter().map(turn).collect()
}

fn words<const N: usize>(words: [(f64, f64); N]) -> Transcript {
    let word = |(start, end)| Segment::new("", start, end, "x");
    words.into_iter().map(word).collect()
}

fn outcome(assigned: &AssignedWords) -> Vec<(&str, f64)> {
    let words = assigned.iter();
    words
        .map(|(word, share)| (word.speaker.as_str(), share))
        .collect()
}

#[test]
fn words_get_the_speaker_with_the_greatest_overlap() {
    let turns = turns([("A", 0.0, 2.0), ("B", 1.5, 4.0), ("A", 4.25, 5.0)]);
    let words = words([
        (0.0, 1.0),
        (1.0, 2.0),
        (1.75, 2.75),
        (3.0, 5.0),
        (3.5, 4.75),
        (4.0, 6.0),
    ]);
    let assigned = assign_speakers(&turns, words).unwrap();
    assert_eq!(
        outcome(&assigned),
        [
            ("A", 1.0),
            ("A", 1.0),
            ("B", 1.0),
            ("B", 0.5),
            ("B", 0.4),
            ("A", 0.375)
        ]
    );
}

#[test]
fn turns_of_one_speaker_add_up() {
    let turns = turns([("A", 0.0, 1.0), ("B", 1.0, 2.5), ("A", 2.5, 3.5)]);
    let assigned = assign_speakers(&turns, words([(0.0, 4.0)])).unwrap();
    assert_eq!(outcome(&assigned), [("A", 0.5)]);
}

#[test]
fn overlapping_turns_of_one_speaker_count_once() {
    let turns = turns([("A", 0.0, 1.0), ("A", 0.0, 1.0), ("B", 1.0, 2.5)]);
    let assigned = assign_speakers(&turns, words([(0.0, 3.0)])).unwrap();
    assert_eq!(outcome(&assigned), [("B", 0.5)]);
}

#[test]
fn of_equals_the_turn_that_begins_first_wins() {
    let both = turns([("B", 1.0, 5.0), ("A", 0.0, 5.0)]);
    let assigned = assign_speakers(&both, words([(2.0, 3.0), (0.5, 1.5)])).unwrap();
    assert_eq!(outcome(&assigned), [("A", 1.0), ("A", 1.0)]);
    let halves = turns([("B", 1.0, 2.0), ("A", 0.0, 1.0)]);
    let assigned = assign_speakers(&halves, words([(0.5, 1.5)])).unwrap();
    assert_eq!(outcome(&assigned), [("A", 0.5)]);
}

#[test]
fn words_in_gaps_get_the_nearest_turn_within_the_limit() {
    let turns = turns([("A", 1.0, 2.0), ("B", 6.0, 7.0), ("C", 1.0, 1.5)]);
    let gaps = [
        (2.0, 2.5),
        (2.5, 4.0),
        (3.25, 5.0),
        (3.5, 4.5),
        (7.5, 8.0),
        (8.5, 9.0),
        (0.0, 0.0),
    ];
    let assigned = assign_speakers(&turns, words(gaps)).unwrap();
    let speakers = |assigned: &AssignedWords| -> Vec<String> {
        let outcome = outcome(assigned);
        assert!(
            outcome.iter().all(|(_, share)| *share == 0.0),
            "{outcome:?}"
        );
        outcome
            .into_iter()
            .map(|(speaker, _)| speaker.to_owned())
            .collect()
    };
    assert_eq!(speakers(&assigned), ["A", "A", "B", "", "B", "", "A"]);
    let none = assign_speakers_within(&turns, words(gaps), Duration::ZERO).unwrap();
    assert_eq!(speakers(&none), ["A", "", "", "", "", "", ""]);
    let all = assign_speakers_within(&turns, words(gaps), Duration::MAX).unwrap();
    assert_eq!(speakers(&all), ["A", "A", "B", "A", "B", "B", "A"]);
}

#[test]
fn words_without_length_have_the_whole_share_during_a_turn() {
    let turns = turns([("A", 1.0, 2.0), ("B", 2.0, 3.0)]);
    let words = words([(1.0, 1.0), (1.5, 1.5), (2.0, 2.0), (3.0, 3.0)]);
    let assigned = assign_speakers(&turns, words).unwrap();
    assert_eq!(
        outcome(&assigned),
        [("A", 1.0), ("A", 1.0), ("B", 1.0), ("B", 0.0)]
    );
}

#[test]
fn words_without_usable_times_go_with_the_word_before() {
    let turns = turns([("A", 0.0, 1.0), ("B", 1.0, 2.0)]);
    let words = words([
        (f64::NAN, 1.0),
        (0.0, 0.5),
        (f64::NAN, f64::NAN),
        (1.5, 2.0),
        (1.0, 0.5),
        (f64::NEG_INFINITY, f64::INFINITY),
        (-1e308, 1e308),
        (0.5, 0.75),
    ]);
    let assigned = assign_speakers(&turns, words).unwrap();
    let expected = ["", "A", "A", "B", "B", "B", "B", "A"];
    let outcome = outcome(&assigned);
    assert_eq!(
        outcome
            .iter()
            .map(|(speaker, _)| *speaker)
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(outcome[2].1, 0.0);
}

#[test]
fn without_turns_no_word_has_a_speaker() {
    let before = vec![Segment::new("A", 0.0, 1.0, "x")];
    let assigned = assign_speakers_within(&Turns::default(), before, Duration::MAX).unwrap();
    assert_eq!(outcome(&assigned), [("", 0.0)]);
    let nothing = assign_speakers(&Turns::default(), Transcript::default()).unwrap();
    assert_eq!(nothing, AssignedWords::default());
}

#[test]
fn unusable_turns_are_left_out() {
    let turns = turns([
        ("A", f64::NAN, 9.0),
        ("A", 9.0, 0.0),
        ("A", 0.0, f64::INFINITY),
        ("B", 2.0, 3.0),
    ]);
    let assigned = assign_speakers(&turns, words([(1.5, 3.0)])).unwrap();
    assert_eq!(outcome(&assigned), [("B", 1.0 / 1.5)]);
}

#[test]
fn exclusive_turns_are_taken_if_they_are_there() {
    let both = diarization(
        r#"{"diarization":[{"speaker":"A","start":0,"end":9},{"speaker":"B","start":1,"end":2}],
            "exclusiveDiarization":[{"speaker":"A","start":0,"end":1},{"speaker":"B","start":1,"end":2}]}"#,
    );
    let assigned = assign_speakers(both.exclusive_or_all(), words([(1.0, 2.0)])).unwrap();
    assert_eq!(outcome(&assigned), [("B", 1.0)]);
    let all = diarization(r#"{"diarization":[{"speaker":"A","start":0,"end":9}]}"#);
    assert_eq!(all.exclusive_or_all(), &all.diarization);
}

#[test]
fn turn_level_joins_words_as_their_script_does() {
    let rows: [(&str, &[&str], &str); 9] = [
        ("plain", &["Good", "morning", "all"], "Good morning all"),
        (
            "whisper",
            &[" Well", "-known", " fact", "."],
            "Well-known fact.",
        ),
        (
            "few spaces",
            &["Not", "yet.", " Why ", "not?"],
            "Not yet. Why not?",
        ),
        ("trailing", &["Good ", "morning"], "Good morning"),
        ("chinese", &["早", "上好", "。"], "早上好。"),
        ("mixed", &["我用", "Whisper", "转写"], "我用 Whisper 转写"),
        ("korean", &["좋은", "아침"], "좋은 아침"),
        ("blank", &["a", "  ", "", "b"], "a b"),
        ("nothing", &["", " "], ""),
    ];
    for (name, texts, expected) in rows {
        let word = |text: &&str| Segment::new("A", 0.0, 1.0, *text);
        let transcript: Transcript = texts.iter().map(word).collect();
        let turns = transcript.turn_level();
        let merged: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(merged.concat(), expected, "{name}");
        assert_eq!(merged.len(), usize::from(!expected.is_empty()), "{name}");
    }
}

#[test]
fn turn_level_keeps_the_outer_times() {
    let transcript = Transcript::from(vec![
        Segment::new("A", 1.0, 2.0, "a"),
        Segment::new("A", f64::NAN, f64::NAN, "b"),
        Segment::new("A", 0.5, 1.5, "c"),
        Segment::new("B", f64::NAN, 3.0, "d"),
        Segment::new("A", 3.0, 4.0, "e"),
    ]);
    let turns = transcript.turn_level();
    assert_eq!(turns[0], Segment::new("A", 0.5, 2.0, "a b c"));
    assert!(turns[1].start.is_nan() && turns[1].end == 3.0);
    assert_eq!(turns[2], Segment::new("A", 3.0, 4.0, "e"));
    assert_eq!(turns.len(), 3);
}

mod size {
    use super::*;

    /// Returns turns of two speakers in turn, one a second, with pauses of 0.25 s.
    fn short_turns(count: u32) -> impl Iterator<Item = Turn> {
        (0..count).map(|second| {
            let speaker = if second % 2 == 0 { "A" } else { "B" };
            Turn::new(speaker, f64::from(second), f64::from(second) + 0.75)
        })
    }

    fn short_words(count: u32) -> Transcript {
        let word = |index| {
            let start = f64::from(index) / 4.0;
            Segment::new("", start, start + 0.25, "x")
        };
        (0..count).map(word).collect()
    }

    /// There are 3 * 10^10 pairs of a word and a turn.
    #[test]
    fn a_day_of_words_and_turns_is_assigned_in_one_pass() {
        let turns: Turns = short_turns(86_400).collect();
        let assigned = assign_speakers(&turns, short_words(4 * 86_400)).unwrap();
        assert!(assigned.iter().all(|(word, _)| !word.speaker.is_empty()));
    }

    #[test]
    fn turns_that_all_overlap_are_no_obstacle() {
        let nested = (0..20_000_u32).map(|index| {
            let start = f64::from(index) / 1e6;
            Turn::new(format!("{index}"), start, 50_000.5 - start)
        });
        let assigned = assign_speakers(&nested.collect(), short_words(200_000)).unwrap();
        assert!(
            assigned
                .iter()
                .skip(1)
                .all(|(word, share)| word.speaker == "0" && share == 1.0)
        );
    }

    #[test]
    fn a_long_turn_over_many_short_ones_is_no_obstacle() {
        let long = Turn::new("C", 0.0, 20_000.5);
        let turns: Turns = short_turns(20_000).chain([long]).collect();
        let assigned = assign_speakers(&turns, short_words(80_003)).unwrap();
        assert_eq!(outcome(&assigned)[79_999], ("C", 1.0));
    }

    #[test]
    fn words_that_overlap_without_end_are_an_error() {
        let word = Segment::new("", 0.0, 1e6, "x");
        let turns: Turns = short_turns(10_000).collect();
        let many = vec![word.clone(); 10_000];
        assert_eq!(
            assign_speakers(&turns, many),
            Err(AssignError::TooManyOverlaps)
        );
        let few = assign_speakers(&turns, vec![word; 50]).unwrap();
        assert!(few.iter().all(|(word, _)| word.speaker == "A"));
    }
}

/// Times in quarters of a second, which are exact, so that overlaps can be compared exactly.
type Quarters = (u8, u8);

fn seconds(quarters: u8) -> f64 {
    f64::from(quarters) / 4.0
}

fn any_turns() -> impl Strategy<Value = Vec<(&'static str, Quarters)>> {
    vec((select(vec!["A", "B", "C"]), (0..80_u8, 0..20_u8)), 0..10)
}

fn any_words() -> impl Strategy<Value = Vec<Quarters>> {
    vec((0..110_u8, 0..12_u8), 0..12)
}

fn to_turns(turns: &[(&str, Quarters)]) -> Turns {
    let turn = |(speaker, (start, length)): &(&str, Quarters)| {
        Turn::new(*speaker, seconds(*start), seconds(start + length))
    };
    turns.iter().map(turn).collect()
}

fn to_words(words: &[Quarters]) -> Transcript {
    let word = |(start, length): &Quarters| {
        Segment::new("", seconds(*start), seconds(start + length), "x")
    };
    words.iter().map(word).collect()
}

/// Returns the parts of the audio in which each speaker speaks, in quarters, with the speakers in the order in which they are heard.
fn spans<'a>(turns: &'a [(&str, Quarters)]) -> Vec<(&'a str, u8, u8)> {
    let typed = to_turns(turns);
    let mut spans = Vec::new();
    for label in typed.speakers() {
        let own = || turns.iter().filter(|(speaker, _)| *label == **speaker);
        let speaks = |quarter: u8| {
            own().any(|(_, (start, length))| (*start..start + length).contains(&quarter))
        };
        let name = own().next().map(|(speaker, _)| *speaker).unwrap();
        let mut begun = None;
        for quarter in 0..=130 {
            match (speaks(quarter), begun) {
                (true, None) => begun = Some(quarter),
                (false, Some(start)) => {
                    spans.push((name, start, quarter));
                    begun = None;
                }
                _ => {}
            }
        }
    }
    spans
}

/// Assigns a word as the documentation says, over all spans.
fn naive(spans: &[(&str, u8, u8)], (start, length): Quarters, limit: u8) -> (String, f64) {
    let end = start + length;
    if length == 0 {
        let during = spans
            .iter()
            .filter(|(_, from, to)| (*from..*to).contains(&start));
        if let Some((speaker, ..)) = during.min_by_key(|(_, from, _)| *from) {
            return ((*speaker).to_owned(), 1.0);
        }
    }
    let mut overlaps: BTreeMap<&str, (u8, u8, usize)> = BTreeMap::new();
    for (place, (speaker, from, to)) in spans.iter().enumerate() {
        let overlap = end.min(*to).saturating_sub(start.max(*from));
        if overlap > 0 {
            overlaps.entry(speaker).or_insert((0, *from, place)).0 += overlap;
        }
    }
    let greatest = overlaps
        .into_iter()
        .min_by_key(|(_, (overlap, from, place))| (u8::MAX - overlap, *from, *place));
    if let Some((speaker, (overlap, ..))) = greatest {
        return (speaker.to_owned(), f64::from(overlap) / f64::from(length));
    }
    let distance =
        |(_, from, to): &(&str, u8, u8)| from.saturating_sub(end).max(start.saturating_sub(*to));
    let nearest = spans.iter().min_by_key(|span| (distance(span), span.1));
    let nearest = nearest.filter(|span| distance(span) <= limit);
    (nearest.map_or("", |(speaker, ..)| speaker).to_owned(), 0.0)
}

/// WhisperX's rule, `assign_word_speakers` without `fill_nearest`: the overlaps of a speaker's turns are added up, and the speaker
/// with the greatest sum wins. Of equals any may win, so all are returned.
fn whisperx(turns: &[(&str, Quarters)], (start, length): Quarters) -> Vec<String> {
    let end = start + length;
    let mut sums: BTreeMap<&str, u8> = BTreeMap::new();
    for (speaker, (from, turn_length)) in turns {
        let intersection = end.min(from + turn_length).saturating_sub(start.max(*from));
        if intersection > 0 {
            *sums.entry(speaker).or_default() += intersection;
        }
    }
    let greatest = sums.values().max().copied();
    let best = sums.into_iter().filter(|(_, sum)| Some(*sum) == greatest);
    best.map(|(speaker, _)| speaker.to_owned()).collect()
}

proptest! {
    #[test]
    fn speakers_are_those_of_naive_assignment(turns in any_turns(), words in any_words(), limit in 0..12_u8) {
        let limit_seconds = Duration::from_millis(u64::from(limit) * 250);
        let assigned = assign_speakers_within(&to_turns(&turns), to_words(&words), limit_seconds).unwrap();
        let spans = spans(&turns);
        let expected: Vec<_> = words.iter().map(|word| naive(&spans, *word, limit)).collect();
        let found: Vec<_> = assigned.iter().map(|(word, share)| (word.speaker.to_string(), share)).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn speakers_are_those_of_whisperx(turns in any_turns(), words in any_words()) {
        // WhisperX counts a speaker's overlapping turns twice, so each speaker's turns are made to follow one another.
        let mut ends: BTreeMap<&str, u8> = BTreeMap::new();
        let mut apart = Vec::new();
        for (speaker, (start, length)) in turns {
            let end = ends.entry(speaker).or_default();
            let start = *end + start / 16;
            *end = (start + length).min(120);
            if start < *end {
                apart.push((speaker, (start, *end - start)));
            }
        }
        let assigned = assign_speakers(&to_turns(&apart), to_words(&words)).unwrap();
        for (word, (assigned, share)) in words.iter().zip(assigned.iter()) {
            let theirs = whisperx(&apart, *word);
            if share > 0.0 && word.1 > 0 {
                prop_assert!(theirs.contains(&assigned.speaker.to_string()), "{:?} {:?}", theirs, assigned);
            } else {
                prop_assert!(theirs.is_empty(), "{:?} {:?}", theirs, assigned);
            }
        }
    }

    #[test]
    fn any_times_are_assigned_and_no_word_is_lost(
        turns in vec((select(vec!["A", "B", ""]), any_time(), any_time()), 0..8),
        words in vec((any_time(), any_time(), "[a-c 早]{0,3}"), 0..8),
    ) {
        let turns: Turns = turns.into_iter().map(|(speaker, start, end)| Turn::new(speaker, start, end)).collect();
        let words: Transcript = words.into_iter().map(|(start, end, text)| Segment::new("D", start, end, text)).collect();
        let assigned = assign_speakers(&turns, words.clone()).unwrap();
        let speakers = turns.speakers();
        for (before, (word, share)) in words.iter().zip(assigned.iter()) {
            prop_assert_eq!(&before.text, &word.text);
            prop_assert_eq!(before.start.to_bits(), word.start.to_bits());
            prop_assert!((0.0..=1.0).contains(&share));
            prop_assert!(word.speaker.is_empty() || speakers.contains(&&word.speaker));
        }
        prop_assert_eq!(words.len(), assigned.words().len());
        let letters = |transcript: &Transcript| -> String {
            transcript.iter().flat_map(|segment| segment.text.chars()).filter(|c| !c.is_whitespace()).collect()
        };
        let merged = assigned.turn_level();
        prop_assert_eq!(letters(&merged), letters(&words));
        prop_assert!(merged.windows(2).all(|pair| pair[0].speaker != pair[1].speaker));
    }
}

fn any_time() -> impl Strategy<Value = f64> {
    prop_oneof![5 => 0.0..10.0, 1 => any::<f64>(), 1 => Just(f64::NAN)]
}
