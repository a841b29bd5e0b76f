use fastrand::Rng;

use super::{json::Json, meeting::Meeting};

/// Counts who speaks at each step of 0.02 s: one speaker, or all of them, up to 255.
pub(super) fn speaking(meeting: &Meeting, speaker: Option<usize>) -> Vec<u8> {
    let steps = usize::try_from(meeting.length / STEP).unwrap_or(usize::MAX);
    let mut speaking = vec![0_u8; steps];
    let turns = meeting
        .turns
        .iter()
        .filter(|turn| speaker.is_none_or(|speaker| turn.speaker == speaker));
    for turn in turns {
        let step = |time: u32| usize::try_from(time / STEP).unwrap_or(usize::MAX);
        let range = step(turn.start).min(steps)..step(turn.end).min(steps);
        for count in &mut speaking[range] {
            *count = count.saturating_add(1);
        }
    }
    speaking
}

/// Writes a curve, `{"score": [...], "resolution": 0.02}`, which is high where `is_high` is true for the number of speakers.
pub(super) fn curve(json: &mut Json, rng: &mut Rng, speaking: &[u8], is_high: fn(u8) -> bool) {
    json.push("{\"score\":");
    scores(json, rng, speaking, is_high);
    json.push(RESOLUTION);
}

/// Writes a curve for each speaker, by label.
pub(super) fn speaker_curves(json: &mut Json, rng: &mut Rng, meeting: &Meeting) {
    json.push("{\"score\":{");
    for (speaker, label) in meeting.speakers.iter().enumerate() {
        json.separate(speaker == 0);
        json.push(label);
        json.push(":");
        scores(json, rng, &speaking(meeting, Some(speaker)), |count| {
            count > 0
        });
    }
    json.push("}");
    json.push(RESOLUTION);
}

fn scores(json: &mut Json, rng: &mut Rng, speaking: &[u8], is_high: fn(u8) -> bool) {
    // A day has millions of scores, so format each value once.
    let written: Vec<String> = (0..=100).map(|score| format!("{score},")).collect();
    json.reserve(3 * speaking.len());
    json.push("[");
    for &count in speaking {
        let score = if is_high(count) {
            rng.usize(85..=100)
        } else {
            rng.usize(0..=12)
        };
        json.push(&written[score]);
    }
    if !speaking.is_empty() {
        json.drop_comma();
    }
    json.push("]");
}

/// In milliseconds.
const STEP: u32 = 20;
const RESOLUTION: &str = ",\"resolution\":0.02}";
