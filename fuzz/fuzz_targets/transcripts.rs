//! Any bytes are read as a transcript or are an error. Its words are assigned and merged without loss of text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_pyannote::event::{Transcript, Turn, Turns, assign_speakers, read_words};

fuzz_target!(|json: &[u8]| {
    let Ok(words) = read_words(json) else {
        return;
    };
    // The words are the turns too: of one speaker in an odd place, of another in an even one.
    let speakers = ["A", "B"].into_iter().cycle();
    let turns = words.iter().zip(speakers);
    let turns: Turns = turns
        .map(|(word, speaker)| Turn::new(speaker, word.start, word.end))
        .collect();
    let Ok(assigned) = assign_speakers(&turns, words.clone()) else {
        return;
    };
    assert!(
        assigned
            .iter()
            .all(|(_, share)| (0.0..=1.0).contains(&share))
    );
    assert_eq!(letters(assigned.words()), letters(&words));
    assert_eq!(letters(&assigned.turn_level()), letters(&words));
});

fn letters(transcript: &Transcript) -> String {
    let chars = transcript.iter().flat_map(|segment| segment.text.chars());
    chars.filter(|c| !c.is_whitespace()).collect()
}
