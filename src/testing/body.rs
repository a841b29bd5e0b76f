use base64ct::Encoding as _;
use bytes::Bytes;
use fastrand::Rng;
use jiff::Timestamp;

use super::{
    curves::{curve, speaker_curves, speaking},
    event::{EventBuilder, Shape},
    json::Json,
    meeting::{Meeting, Turn},
    voices::Voices,
    words::transcripts,
};
use crate::event::{Delivery, EventError, webhook_event::WebhookEvent};

impl EventBuilder {
    /// Returns the id of the job: the one that was set, else one from the seed.
    #[must_use]
    pub fn job_id(&self) -> String {
        match &self.job_id {
            Some(job_id) => job_id.clone(),
            None => job_id(&mut Rng::with_seed(self.seed)),
        }
    }

    /// Returns the body.
    #[must_use]
    pub fn build(&self) -> Bytes {
        let mut rng = Rng::with_seed(self.seed);
        // Draw the id in any case, so that the output does not depend on whether an id was set.
        let drawn = job_id(&mut rng);
        let mut json = Json::default();
        json.push("{\"jobId\":");
        json.text(self.job_id.as_deref().unwrap_or(&drawn));
        json.push(",\"status\":");
        json.text(self.status());
        for (name, date) in [
            ("createdAt", self.dates.map(|dates| dates.0)),
            ("updatedAt", self.dates.map(|dates| dates.1)),
        ] {
            if let Some(Ok(date)) = date.map(Timestamp::try_from) {
                json.key(name);
                // The API writes milliseconds.
                json.text(&format!("{date:.3}"));
            }
        }
        self.write_output(&mut json, &mut rng);
        json.push("}");
        json.into_bytes()
    }

    /// Returns an event with the body, as a delivery would bring it.
    ///
    /// # Errors
    ///
    /// Returns [`EventError::MissingJobId`] if the id of the job was set to an empty string.
    pub fn build_event(&self, delivery: Delivery) -> Result<WebhookEvent, EventError> {
        WebhookEvent::new(self.build(), delivery)
    }

    fn status(&self) -> &'static str {
        match self.shape {
            Shape::Failed => "failed",
            Shape::Canceled => "canceled",
            _ => "succeeded",
        }
    }

    fn write_output(&self, json: &mut Json, rng: &mut Rng) {
        if let Some(output) = &self.output {
            json.key("output");
            json.push(output);
            return;
        }
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
        // Each part has a generator of its own, so that no part depends on which others there are.
        let mut part = || Rng::with_seed(rng.u64(..));
        let (mut meeting, mut turns, mut exclusive, mut words) = (part(), part(), part(), part());
        let (mut confidence, mut speech, mut crosstalk) = (part(), part(), part());
        let (mut speaker, mut voices) = (part(), part());

        let meeting = match &self.turns {
            Some(turns) => Meeting::of(turns, self.duration),
            None => Meeting::random(&mut meeting, self.duration, self.speakers),
        };
        json.push("\"diarization\":");
        self.write_turns(json, &mut turns, &meeting, &meeting.turns);
        if self.exclusive {
            json.push(",\"exclusiveDiarization\":");
            self.write_turns(json, &mut exclusive, &meeting, &meeting.exclusive());
        }
        if self.shape == Shape::Identification {
            let (exclusive, threshold) = (self.matching_exclusive, self.matching_threshold);
            Voices::new(
                &mut voices,
                meeting.speakers.len(),
                &self.labels,
                exclusive,
                threshold,
            )
            .write(json, &meeting, self.turn_confidence);
        } else if self.words {
            transcripts(json, &mut words, &meeting);
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

    fn write_turns(&self, json: &mut Json, rng: &mut Rng, meeting: &Meeting, turns: &[Turn]) {
        json.push("[");
        for (number, turn) in turns.iter().enumerate() {
            json.separate(number == 0);
            json.push("{\"speaker\":");
            json.push(&meeting.speakers[turn.speaker]);
            json.push(",\"start\":");
            json.time(turn.start);
            json.push(",\"end\":");
            json.time(turn.end);
            if self.turn_confidence {
                json.push(",\"confidence\":{");
                for (speaker, label) in meeting.speakers.iter().enumerate() {
                    let range = if speaker == turn.speaker {
                        60..=99
                    } else {
                        0..=30
                    };
                    json.separate(speaker == 0);
                    json.push(label);
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

/// Draws a random UUID.
fn job_id(rng: &mut Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// The bytes of a voiceprint, which are 8192 characters of base64.
const VOICEPRINT: usize = 6144;
