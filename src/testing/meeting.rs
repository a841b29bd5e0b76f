use std::time::Duration;

use fastrand::Rng;

use super::json;
use crate::event::Turn as EventTurn;

/// Who speaks when. Times are in milliseconds, so that JSON shows them without rounding errors.
pub(super) struct Meeting {
    pub(super) turns: Vec<Turn>,
    /// The speakers' labels, as JSON.
    pub(super) speakers: Vec<String>,
    pub(super) length: u32,
}

#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// The index of the speaker's label.
    pub(super) speaker: usize,
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Meeting {
    /// Makes up turns. Their times are whole hundredths of a second.
    pub(super) fn random(rng: &mut Rng, length: Duration, speakers: u8) -> Self {
        // A day has 8,640,000 hundredths.
        let hundredths = u32::try_from(length.as_millis() / 10).unwrap_or(u32::MAX);
        let mut turns: Vec<Turn> = Vec::new();
        // A turn takes 1/4 to 7/4 of a unit, with up to 1/4 before it. The unit is short enough that each speaker has a turn.
        let unit = (hundredths / (2 * u32::from(speakers).max(1))).clamp(1, LONGEST_UNIT);
        let mut at = rng.u32(0..=unit / 4);
        let length_of_talk = if speakers > 0 { hundredths } else { 0 };
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
                speaker: usize::from(speaker),
                start: 10 * start,
                end: 10 * end,
            });
            // The next speaker interrupts this one, or there is a pause.
            at = (end + rng.u32(0..=unit / 2)).saturating_sub(unit / 4);
        }
        Self {
            turns,
            speakers: (0..speakers)
                .map(|number| format!("\"SPEAKER_{number:02}\""))
                .collect(),
            length: milliseconds(length),
        }
    }

    /// Takes turns as they are, cut to milliseconds.
    pub(super) fn of(given: &[EventTurn], length: Duration) -> Self {
        let mut speakers = Vec::new();
        let mut turns = Vec::with_capacity(given.len());
        for turn in given {
            let label = json::quoted(&turn.speaker);
            let known = speakers.iter().position(|known| *known == label);
            let speaker = known.unwrap_or_else(|| {
                speakers.push(label);
                speakers.len() - 1
            });
            let time = |seconds| Duration::try_from_secs_f64(seconds).map_or(0, milliseconds);
            let start = time(turn.start);
            turns.push(Turn {
                speaker,
                start,
                end: time(turn.end).max(start),
            });
        }
        Self {
            turns,
            speakers,
            length: milliseconds(length),
        }
    }

    /// Returns the turns without overlap: of those who speak at once, only the first goes on.
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

fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Eight seconds, in hundredths.
const LONGEST_UNIT: u32 = 800;
