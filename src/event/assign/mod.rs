//! Assigns the words of a transcript to the speakers of a diarization.

mod error;
mod read_words;
mod timeline;
mod turn_level;

use std::time::Duration;

use self::timeline::{Search, Timeline};
use super::{Segment, Transcript, Turns};

pub use self::{
    error::{AssignError, ReadWordsError},
    read_words::read_words,
};

/// Assigns the words of a transcript to the speakers of a diarization.
///
/// Use this function if your words come from another speech recognizer, such as Whisper, Parakeet or Deepgram. [`read_words`]
/// reads the JSON of the Whisper family. For any other source, create each word with [`Segment::new`]. The function
/// overwrites the speakers of the words.
///
/// 1. A word gets the speaker who speaks longest during the word. If two speak equally long, it gets the one whose turn begins
///    first.
/// 2. A word during which nobody speaks gets the speaker of the nearest turn, if that turn is at most 1 s away.
///    [`assign_speakers_within`] takes another limit.
/// 3. Any other word has the empty speaker.
/// 4. A word without usable times (missing, infinite, not in order) gets the speaker of the word before it, so that it stays in
///    its sentence.
///
/// A word may also be a whole segment, but then all of it gets one speaker.
///
/// Pass turns without overlap if there are any, because they say who of several speakers is the main one:
/// [`Diarization::exclusive_or_all`](crate::Diarization::exclusive_or_all) or
/// [`Identification::exclusive_turns`](crate::Identification::exclusive_turns).
///
/// For `n` turns and `m` words that are sorted by start, the function takes O(n + m) time, and otherwise O(n log n + m log m).
///
/// # Errors
///
/// Returns [`AssignError::TooManyOverlaps`] if many words overlap one another where many turns begin or end. No real transcript
/// has such words. The limit keeps the time linear for untrusted input.
///
/// # Example
///
/// ```
/// use tower_pyannote::event::{Turn, Turns, assign_speakers, read_words};
///
/// let whisper = r#"{"segments": [{"start": 0.0, "end": 2.2, "text": " Any news? Not yet.", "words": [
///     {"start": 0.0, "end": 0.4, "word": " Any"},
///     {"start": 0.4, "end": 0.9, "word": " news?"},
///     {"start": 0.9, "end": 1.4, "word": " Not"},
///     {"start": 1.4, "end": 2.2, "word": " yet."}]}]}"#;
/// let turns = Turns::from(vec![Turn::new("Ann", 0.0, 1.0), Turn::new("Bob", 1.0, 2.0)]);
///
/// let assigned = assign_speakers(&turns, read_words(whisper)?)?;
/// assert_eq!(assigned.turn_level().text(), "Ann: Any news?\nBob: Not yet.\n");
///
/// let (last, share) = assigned.iter().last().unwrap();
/// assert_eq!(last.speaker, "Bob");
/// assert!((share - 0.75).abs() < 1e-9);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn assign_speakers(
    turns: &Turns,
    words: impl Into<Transcript>,
) -> Result<AssignedWords, AssignError> {
    assign_speakers_within(turns, words, NEAREST_WITHIN)
}

/// Does the same as [`assign_speakers`], with a limit for words during which nobody speaks.
///
/// Such a word gets the speaker of the nearest turn if that turn is at most `limit` away. `Duration::MAX` assigns all words with
/// usable times, if there is a turn.
///
/// # Errors
///
/// Returns the errors of [`assign_speakers`].
pub fn assign_speakers_within(
    turns: &Turns,
    words: impl Into<Transcript>,
    limit: Duration,
) -> Result<AssignedWords, AssignError> {
    let mut words = words.into().into_vec();
    let mut shares = vec![0.0; words.len()];
    let timeline = Timeline::new(turns);
    let mut search = Search::new(&timeline, words.len(), limit);
    for index in by_start(&words) {
        let (Some(word), Some(share)) = (words.get_mut(index), shares.get_mut(index)) else {
            continue;
        };
        (word.speaker, *share) = search.speaker_during(word.start, word.end)?;
    }
    let mut before = None;
    for word in &mut words {
        if !has_usable_times(word) {
            word.speaker = before.unwrap_or_default();
        }
        before = Some(word.speaker.clone());
    }
    Ok(AssignedWords {
        words: words.into(),
        shares,
    })
}

/// The words of a transcript with their speakers, from [`assign_speakers`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AssignedWords {
    words: Transcript,
    /// As many as there are words.
    shares: Vec<f64>,
}

impl AssignedWords {
    /// Borrows the words in the order in which they were passed. Only their speakers have changed.
    #[must_use]
    pub const fn words(&self) -> &Transcript {
        &self.words
    }

    /// Returns the words in the order in which they were passed. Only their speakers have changed.
    #[must_use]
    pub fn into_words(self) -> Transcript {
        self.words
    }

    /// Iterates over the words and the overlap share of each.
    ///
    /// The share is the part of the word's time in which its speaker speaks, from 0 to 1. A word that was assigned by the
    /// nearest turn or by the word before it has 0. A word without length has 1 during a turn.
    pub fn iter(&self) -> impl Iterator<Item = (&Segment, f64)> {
        self.words.iter().zip(self.shares.iter().copied())
    }

    /// Returns the transcript by turns. See [`Transcript::turn_level`].
    #[must_use]
    pub fn turn_level(&self) -> Transcript {
        self.words.turn_level()
    }
}

/// Returns the places of the words with usable times, sorted by start.
fn by_start(words: &[Segment]) -> Vec<usize> {
    let usable = words
        .iter()
        .enumerate()
        .filter(|(_, word)| has_usable_times(word));
    let mut places: Vec<(usize, f64)> = usable.map(|(place, word)| (place, word.start)).collect();
    // The stable sort takes linear time if the words are sorted already.
    places.sort_by(|(_, a), (_, b)| a.total_cmp(b));
    places.into_iter().map(|(place, _)| place).collect()
}

fn has_usable_times(word: &Segment) -> bool {
    let length = word.end - word.start;
    length.is_finite() && length >= 0.0
}

/// Diarization trims turns to the voice, and recognizers stretch words into pauses, so that a word may lie just outside its turn.
const NEAREST_WITHIN: Duration = Duration::from_secs(1);
