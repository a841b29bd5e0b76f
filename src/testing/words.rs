use fastrand::Rng;

use super::{json::Json, meeting::Meeting};

/// Writes `wordLevelTranscription` and `turnLevelTranscription`.
pub(super) fn transcripts(json: &mut Json, rng: &mut Rng, meeting: &Meeting) {
    let mut by_turn = Json::default();
    json.push(",\"wordLevelTranscription\":[");
    let mut first = true;
    for (number, turn) in meeting.turns.iter().enumerate() {
        let speaker = &meeting.speakers[turn.speaker];
        let mut text = String::new();
        let mut start = turn.start;
        while start < turn.end {
            let end = start.saturating_add(10 * rng.u32(20..=60)).min(turn.end);
            let word = VOCABULARY[rng.usize(0..VOCABULARY.len())];
            json.separate(first);
            first = false;
            segment(json, speaker, start, end, word);
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
            start = end;
        }
        by_turn.separate(number == 0);
        segment(&mut by_turn, speaker, turn.start, turn.end, &text);
    }
    json.push("],\"turnLevelTranscription\":[");
    json.push(by_turn.as_str());
    json.push("]");
}

fn segment(json: &mut Json, speaker: &str, start: u32, end: u32, text: &str) {
    json.push("{\"start\":");
    json.time(start);
    json.push(",\"end\":");
    json.time(end);
    json.push(",\"text\":");
    json.text(text);
    json.push(",\"speaker\":");
    json.push(speaker);
    json.push("}");
}

const VOCABULARY: [&str; 24] = [
    "so",
    "yes",
    "the",
    "remote",
    "control",
    "maybe",
    "design",
    "we",
    "need",
    "a",
    "button",
    "and",
    "then",
    "battery",
    "right",
    "okay",
    "user",
    "naïve",
    "Größe",
    "café",
    "会议",
    "привет",
    "mm-hmm",
    "“quoted”",
];
