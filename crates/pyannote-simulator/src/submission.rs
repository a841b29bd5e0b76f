use reqwest::Url;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    answer::FieldError,
    fields::{Fields, key_of_media},
};

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    Diarize,
    Identify,
    Voiceprint,
}

/// A job as it was submitted, found to be good.
#[derive(Clone, Debug)]
pub(super) struct Submission {
    pub(super) task: Task,
    pub(super) url: String,
    pub(super) webhook: Option<Url>,
    pub(super) status_only: bool,
    pub(super) speakers: Option<u8>,
    pub(super) turn_confidence: bool,
    pub(super) exclusive: bool,
    pub(super) confidence: bool,
    pub(super) speech_probability: bool,
    pub(super) crosstalk_probability: bool,
    pub(super) speaker_probability: bool,
    pub(super) transcription: bool,
    pub(super) labels: Vec<String>,
    pub(super) matching_exclusive: bool,
    pub(super) matching_threshold: u8,
}

impl Submission {
    pub(super) fn read(task: Task, body: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(body);
        let model = fields.one_of("model", &MODELS).unwrap_or(MODELS[0]);
        let mut submission = Self {
            task,
            url: audio(&mut fields),
            webhook: fields.web_address("webhook"),
            status_only: fields.flag("webhookStatusOnly"),
            speakers: None,
            turn_confidence: false,
            exclusive: false,
            confidence: false,
            speech_probability: false,
            crosstalk_probability: false,
            speaker_probability: false,
            transcription: false,
            labels: Vec::new(),
            matching_exclusive: true,
            matching_threshold: 0,
        };
        if task != Task::Voiceprint {
            submission.read_diarization(&mut fields);
        }
        match task {
            Task::Diarize => submission.read_transcription(&mut fields, model),
            Task::Identify => submission.read_voiceprints(&mut fields),
            Task::Voiceprint => {}
        }
        fields.finish()?;
        Ok(submission)
    }

    fn read_diarization(&mut self, fields: &mut Fields<'_>) {
        let exactly = fields.integer("numSpeakers", 1..=MAX_SPEAKERS);
        let least = fields.integer("minSpeakers", 1..=MAX_SPEAKERS);
        let most = fields.integer("maxSpeakers", 1..=MAX_SPEAKERS);
        if let (Some(least), Some(most)) = (least, most) {
            if least > most {
                fields.wrong("minSpeakers", "must not be greater than maxSpeakers");
                return;
            }
        }
        let usual = 3.clamp(least.unwrap_or(1), most.unwrap_or(MAX_SPEAKERS));
        self.speakers = Some(exactly.unwrap_or(usual));
        self.turn_confidence = fields.flag("turnLevelConfidence");
        self.exclusive = fields.flag("exclusive");
        self.confidence = fields.flag("confidence");
        self.speech_probability = fields.flag("speechProbability");
        self.crosstalk_probability = fields.flag("crosstalkProbability");
        self.speaker_probability = fields.flag("speakerProbability");
    }

    fn read_transcription(&mut self, fields: &mut Fields<'_>, model: &str) {
        self.transcription = fields.flag("transcription");
        if self.transcription && model != MODELS[0] {
            fields.wrong("transcription", "is only available with precision-2");
        }
        fields.within("transcriptionConfig", |config| {
            config.one_of("model", &TRANSCRIPTION_MODELS);
        });
    }

    fn read_voiceprints(&mut self, fields: &mut Fields<'_>) {
        let items = fields.items("voiceprints", 1..=50);
        for (number, item) in items.iter().enumerate() {
            let at = |name: &str| format!("voiceprints[{number}].{name}");
            match item.get("label").and_then(Value::as_str) {
                None => fields.wrong(&at("label"), "is required and must be a string"),
                Some(label) if label.is_empty() || label.chars().count() > 100 => {
                    fields.wrong(&at("label"), "must have 1 to 100 characters");
                }
                Some(label) if label.to_ascii_uppercase().starts_with("SPEAKER_") => {
                    fields.wrong(&at("label"), "must not begin with SPEAKER_");
                }
                Some(label) => self.labels.push(label.to_owned()),
            }
            match item.get("voiceprint").and_then(Value::as_str) {
                Some(voiceprint) if (1..=20_000).contains(&voiceprint.len()) => {}
                _ => fields.wrong(
                    &at("voiceprint"),
                    "is required and must have 1 to 20000 characters",
                ),
            }
        }
        let (mut exclusive, mut threshold) = (None, None);
        fields.within("matching", |matching| {
            exclusive = matching.optional_flag("exclusive");
            threshold = matching.number("threshold", 0.0..=100.0);
        });
        self.matching_exclusive = exclusive.unwrap_or(true);
        // Scores are whole numbers.
        self.matching_threshold = threshold.map_or(0, |threshold| threshold.ceil() as u8);
    }
}

fn audio(fields: &mut Fields<'_>) -> String {
    let Some(url) = fields.text("url") else {
        fields.wrong("url", "is required");
        return String::new();
    };
    let is_web = Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_web && key_of_media(url).is_none() {
        fields.wrong(
            "url",
            "must be a web address, or media:// and a key of at most 255 characters a-z, A-Z, 0-9, - _ . /",
        );
    }
    url.to_owned()
}

const MODELS: [&str; 2] = ["precision-2", "community-1"];
const TRANSCRIPTION_MODELS: [&str; 2] = ["parakeet-tdt-0.6b-v3", "faster-whisper-large-v3-turbo"];
const MAX_SPEAKERS: u8 = 100;
