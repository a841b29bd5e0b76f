use crate::event::{Segment, Text, Transcript};

impl Transcript {
    /// Merges neighbouring segments of one speaker, so that a transcript by words becomes one by turns.
    ///
    /// If at least half of the segments begin or end with white space, as Whisper's words do, the segments hold all spaces of the
    /// text and are joined as they are. Otherwise words are joined with one space, but without a space between characters of
    /// scripts that are written without spaces, such as Chinese, Japanese and Thai. White space at the ends of a turn is
    /// removed. Segments without text are left out.
    ///
    /// ```
    /// use tower_pyannote::event::{Segment, Transcript};
    ///
    /// let words = Transcript::from(vec![
    ///     Segment::new("Ann", 0.0, 0.4, "Good"),
    ///     Segment::new("Ann", 0.4, 0.9, "morning."),
    ///     Segment::new("Bob", 1.5, 1.8, "Hi!"),
    /// ]);
    /// let turns = words.turn_level();
    /// assert_eq!(turns[0], Segment::new("Ann", 0.0, 0.9, "Good morning."));
    /// assert_eq!(turns.len(), 2);
    /// ```
    #[must_use]
    pub fn turn_level(&self) -> Self {
        let segments = || {
            self.iter()
                .filter(|segment| !segment.text.trim().is_empty())
        };
        let with_space = segments().filter(|segment| segment.text.trim() != segment.text.as_str());
        let has_spaces = 2 * with_space.count() >= segments().count();
        let mut turns: Vec<Segment> = Vec::new();
        let mut text = String::new();
        for segment in segments() {
            match turns
                .last_mut()
                .filter(|turn| turn.speaker == segment.speaker)
            {
                Some(turn) => {
                    // NaN is the other number.
                    turn.start = turn.start.min(segment.start);
                    turn.end = turn.end.max(segment.end);
                    if !has_spaces && needs_space(&text, &segment.text) {
                        text.push(' ');
                    }
                }
                None => {
                    finish(&mut turns, &mut text);
                    turns.push(Segment {
                        text: Text::default(),
                        ..segment.clone()
                    });
                }
            }
            text.push_str(&segment.text);
        }
        finish(&mut turns, &mut text);
        turns.into()
    }
}

fn finish(turns: &mut [Segment], text: &mut String) {
    if let Some(turn) = turns.last_mut() {
        turn.text = text.trim().into();
    }
    text.clear();
}

/// Returns whether a space belongs between two words.
fn needs_space(before: &str, after: &str) -> bool {
    let ends = [before.chars().next_back(), after.chars().next()];
    let has_space = ends.into_iter().flatten().any(char::is_whitespace);
    let unspaced = ends.into_iter().flatten().all(is_unspaced);
    !has_space && !unspaced
}

/// Returns whether a character belongs to a script that is written without spaces.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(c,
        // Thai and Lao, Myanmar, Khmer.
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        // Punctuation and kana, Han, full-width forms, and the planes of rare Han characters.
        | '\u{3000}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
}
