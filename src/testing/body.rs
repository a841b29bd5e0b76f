use base64ct::Encoding as _;
use fastrand::Rng;

use super::curves::{curve, speaker_curves, speaking};
use super::event::{EventBuilder, Shape};
use super::json::Json;
use super::meeting::{Meeting, Turn};
use super::voices::Voices;
use super::words::transcripts;

impl EventBuilder {
    pub(super) fn write_output(&self, json: &mut Json, rng: &mut Rng) {
        match self.shape {
            Shape::StatusOnly => return,
            Shape::Failed | Shape::Canceled if self.error.is_none() => return,
            _ => json.push(",\"output\":{"),
        }
        match self.shape {
            Shape::Diarization | Shape::Identification => self.write_meeting(json, rng),
            Shape::Voiceprint => {
                let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..))
                    .take(VOICEPRINT)
                    .collect();
                json.push("\"voiceprint\":");
                json.text(&base64ct::Base64::encode_string(&bytes));
            }
            Shape::Unknown => {
                json.push("\"emotion\":[{\"start\":0,\"end\":1.5,\"label\":\"calm\"}]");
            }
            Shape::StatusOnly | Shape::Failed | Shape::Canceled => {}
        }
        for (name, text) in [("warning", &self.warning), ("error", &self.error)] {
            if let Some(text) = text {
                json.key(name);
                json.text(text);
            }
        }
        json.push("}");
    }

    fn write_meeting(&self, json: &mut Json, rng: &mut Rng) {
        // Each part has its own, so that it is the same whichever others are asked for.
        let mut part = || Rng::with_seed(rng.u64(..));
        let (mut meeting, mut turns, mut exclusive, mut words) = (part(), part(), part(), part());
        let (mut confidence, mut speech, mut crosstalk) = (part(), part(), part());
        let (mut speaker, mut voices) = (part(), part());

        let meeting = Meeting::new(&mut meeting, self.duration, self.speakers);
        json.push("\"diarization\":");
        self.write_turns(json, &mut turns, &meeting.turns);
        if self.exclusive {
            json.push(",\"exclusiveDiarization\":");
            self.write_turns(json, &mut exclusive, &meeting.exclusive());
        }
        if self.shape == Shape::Identification {
            let (exclusive, threshold) = (self.matching_exclusive, self.matching_threshold);
            Voices::new(
                &mut voices,
                self.speakers,
                &self.labels,
                exclusive,
                threshold,
            )
            .write(json, &meeting, self.turn_confidence);
        } else if self.words {
            transcripts(json, &mut words, &meeting.turns);
        }

        let any = self.confidence || self.speech_probability || self.crosstalk_probability;
        let together = if any {
            speaking(&meeting, None)
        } else {
            Vec::new()
        };
        if self.confidence {
            json.push(",\"confidence\":");
            curve(json, &mut confidence, &together, |_| true);
        }
        if self.speech_probability {
            json.push(",\"speechProbability\":");
            curve(json, &mut speech, &together, |count| count > 0);
        }
        if self.crosstalk_probability {
            json.push(",\"crosstalkProbability\":");
            curve(json, &mut crosstalk, &together, |count| count > 1);
        }
        if self.speaker_probability {
            json.push(",\"speakerProbability\":");
            speaker_curves(json, &mut speaker, &meeting);
        }
    }

    fn write_turns(&self, json: &mut Json, rng: &mut Rng, turns: &[Turn]) {
        json.push("[");
        for (number, turn) in turns.iter().enumerate() {
            json.separate(number == 0);
            json.push("{\"speaker\":");
            json.speaker(turn.speaker);
            json.push(",\"start\":");
            json.time(turn.start);
            json.push(",\"end\":");
            json.time(turn.end);
            if self.turn_confidence {
                json.push(",\"confidence\":{");
                for speaker in 0..self.speakers {
                    let range = if speaker == turn.speaker {
                        60..=99
                    } else {
                        0..=30
                    };
                    json.separate(speaker == 0);
                    json.speaker(speaker);
                    json.push(":");
                    json.number(rng.u8(range));
                }
                json.push("}");
            }
            json.push("}");
        }
        json.push("]");
    }
}

/// Of as many bytes, which makes 8192 characters of base64.
const VOICEPRINT: usize = 6144;
