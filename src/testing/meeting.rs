use std::time::Duration;

use fastrand::Rng;

/// Who speaks when, made up from a seed. Times are in hundredths of a second, so that they are written as they are meant.
pub(super) struct Meeting {
    pub(super) turns: Vec<Turn>,
    pub(super) speakers: u8,
    pub(super) length: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) speaker: u8,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Meeting {
    pub(super) fn new(rng: &mut Rng, length: Duration, speakers: u8) -> Self {
        // A day is 8,640,000 of them.
        let length = u32::try_from(length.as_millis() / 10).unwrap_or(u32::MAX);
        let mut turns: Vec<Turn> = Vec::new();
        // Short enough for each to have a turn, at least 1/4 and at most 7/4 of it long, with 1/4 before it.
        let unit = (length / (2 * u32::from(speakers).max(1))).clamp(1, LONGEST_UNIT);
        let mut at = rng.u32(0..=unit / 4);
        // Nobody has no turns.
        let length_of_talk = if speakers > 0 { length } else { 0 };
        loop {
            let start = at;
            let end = start + rng.u32(unit.div_ceil(4)..=unit + unit * 3 / 4);
            if end > length_of_talk {
                break;
            }
            let speaker = match u8::try_from(turns.len()) {
                Ok(number) if number < speakers => number,
                _ => rng.u8(0..speakers),
            };
            turns.push(Turn {
                speaker,
                start,
                end,
            });
            // Somebody cuts in, or there is a pause.
            at = (end + rng.u32(0..=unit / 2)).saturating_sub(unit / 4);
        }
        Self {
            turns,
            speakers,
            length,
        }
    }

    /// The same turns, but of those who speak at once only the one who began.
    pub(super) fn exclusive(&self) -> Vec<Turn> {
        let mut said = 0;
        let mut turns = Vec::with_capacity(self.turns.len());
        for turn in &self.turns {
            let start = turn.start.max(said);
            if start < turn.end {
                turns.push(Turn { start, ..*turn });
                said = turn.end;
            }
        }
        turns
    }
}

/// Eight seconds.
const LONGEST_UNIT: u32 = 800;
