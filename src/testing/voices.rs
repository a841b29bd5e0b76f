use fastrand::Rng;

use super::{json::Json, meeting::Meeting};

/// How well each speaker matches each voiceprint, and which voiceprint is each speaker's match.
pub(super) struct Voices<'a> {
    labels: &'a [String],
    scores: Vec<Vec<u8>>,
    matches: Vec<Option<usize>>,
}

impl<'a> Voices<'a> {
    pub(super) fn new(
        rng: &mut Rng,
        speakers: usize,
        labels: &'a [String],
        exclusive: bool,
        threshold: u8,
    ) -> Self {
        let mut scores = Vec::new();
        let mut matches = Vec::new();
        for speaker in 0..speakers {
            let mut row: Vec<u8> = labels.iter().map(|_| rng.u8(0..=40)).collect();
            let score = rng.u8(60..=98);
            let like = match speaker.checked_rem(labels.len()) {
                Some(label) if !exclusive || speaker < labels.len() => Some(label),
                _ => None,
            };
            if let Some(label) = like {
                row[label] = score;
            }
            scores.push(row);
            matches.push(like.filter(|_| score >= threshold));
        }
        Self {
            labels,
            scores,
            matches,
        }
    }

    /// Writes `identification`, then `voiceprints`.
    pub(super) fn write(&self, json: &mut Json, meeting: &Meeting, turn_confidence: bool) {
        json.push(",\"identification\":[");
        for (number, turn) in meeting.turns.iter().enumerate() {
            json.separate(number == 0);
            let speaker = &meeting.speakers[turn.speaker];
            json.push("{\"speaker\":");
            match self.label(turn.speaker) {
                Some(label) => json.text(label),
                None => json.push(speaker),
            }
            json.push(",\"start\":");
            json.time(turn.start);
            json.push(",\"end\":");
            json.time(turn.end);
            json.push(",\"diarizationSpeaker\":");
            json.push(speaker);
            self.write_match(json, turn.speaker);
            if turn_confidence {
                self.write_scores(json, turn.speaker);
            }
            json.push("}");
        }
        json.push("],\"voiceprints\":[");
        for (speaker, label) in meeting.speakers.iter().enumerate() {
            json.separate(speaker == 0);
            json.push("{\"speaker\":");
            json.push(label);
            self.write_match(json, speaker);
            self.write_scores(json, speaker);
            json.push("}");
        }
        json.push("]");
    }

    fn label(&self, speaker: usize) -> Option<&str> {
        let label = (*self.matches.get(speaker)?)?;
        self.labels.get(label).map(String::as_str)
    }

    fn write_match(&self, json: &mut Json, speaker: usize) {
        json.push(",\"match\":");
        match self.label(speaker) {
            Some(label) => json.text(label),
            None => json.push("null"),
        }
    }

    fn write_scores(&self, json: &mut Json, speaker: usize) {
        json.push(",\"confidence\":{");
        let scores = self.scores.get(speaker);
        for (number, (label, score)) in self
            .labels
            .iter()
            .zip(scores.into_iter().flatten())
            .enumerate()
        {
            json.separate(number == 0);
            json.text(label);
            json.push(":");
            json.number(*score);
        }
        json.push("}");
    }
}
