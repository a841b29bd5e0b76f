use fastrand::Rng;

use super::json::Json;
use super::meeting::Meeting;

/// How many speak at each step of 0.02 s, at most 255 of them.
pub(super) fn speaking(meeting: &Meeting, speaker: Option<u8>) -> Vec<u8> {
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

/// `{"score": [...], "resolution": 0.02}`, high where `is_high` says so of how many speak.
pub(super) fn curve(json: &mut Json, rng: &mut Rng, speaking: &[u8], is_high: fn(u8) -> bool) {
    json.push("{\"score\":");
    scores(json, rng, speaking, is_high);
    json.push(RESOLUTION);
}

/// The same of each speaker, by label.
pub(super) fn speaker_curves(json: &mut Json, rng: &mut Rng, meeting: &Meeting) {
    json.push("{\"score\":{");
    for speaker in 0..meeting.speakers {
        json.separate(speaker == 0);
        json.speaker(speaker);
        json.push(":");
        scores(json, rng, &speaking(meeting, Some(speaker)), |count| {
            count > 0
        });
    }
    json.push("}");
    json.push(RESOLUTION);
}

fn scores(json: &mut Json, rng: &mut Rng, speaking: &[u8], is_high: fn(u8) -> bool) {
    // A day has millions of them: written once, not formatted each time.
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

/// In hundredths of a second.
const STEP: u32 = 2;
const RESOLUTION: &str = ",\"resolution\":0.02}";
