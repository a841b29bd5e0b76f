use reqwest::Url;
use serde::Serialize;
use serde_json::{Map, Value};
use tower_pyannote::testing::EventBuilder;

use crate::{
    answer::FieldError,
    fields::{Fields, key_of_media},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Task {
    Diarize,
    Identify,
    Voiceprint,
}

/// A valid submission of a job.
#[derive(Clone)]
pub(crate) struct Submission {
    pub(crate) task: Task,
    pub(crate) url: String,
    pub(crate) webhook: Option<Url>,
    pub(crate) status_only: bool,
    pub(crate) speakers: u8,
    /// The event of success, without what depends on the job.
    pub(crate) event: EventBuilder,
}

impl Submission {
    pub(crate) fn read(task: Task, body: &Map<String, Value>) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::new(body);
        let models = match task {
            Task::Diarize => &MODELS[..],
            Task::Identify | Task::Voiceprint => &MODELS[..1],
        };
        let model = fields.one_of("model", models).unwrap_or(MODELS[0]);
        let url = audio(&mut fields);
        let webhook = fields.web_url("webhook");
        let status_only = fields.flag("webhookStatusOnly");
        let speakers = match task {
            Task::Voiceprint => 0,
            _ => speakers(&mut fields),
        };
        let event = match task {
            Task::Diarize => {
                let event = scores(EventBuilder::diarization(), &mut fields);
                event.with_words(transcription(&mut fields, model))
            }
            Task::Identify => {
                let event = scores(EventBuilder::identification(), &mut fields);
                voiceprints(event, &mut fields)
            }
            Task::Voiceprint => EventBuilder::voiceprint(),
        };
        fields.finish()?;
        Ok(Self {
            task,
            url,
            webhook,
            status_only,
            speakers,
            event: event.with_speakers(speakers),
        })
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
            "must be a web address, or media:// and a key of at most 247 characters a-z, A-Z, 0-9, - _ . /",
        );
    }
    url.to_owned()
}

fn speakers(fields: &mut Fields<'_>) -> u8 {
    let exactly = fields.integer("numSpeakers", 1..=MAX_SPEAKERS);
    let least = fields.integer("minSpeakers", 1..=MAX_SPEAKERS);
    let most = fields.integer("maxSpeakers", 1..=MAX_SPEAKERS);
    if exactly.is_some() && (least.is_some() || most.is_some()) {
        fields.wrong(
            "numSpeakers",
            "must not be combined with minSpeakers or maxSpeakers",
        );
    }
    let (least, most) = (least.unwrap_or(1), most.unwrap_or(MAX_SPEAKERS));
    if least > most {
        fields.wrong("minSpeakers", "must not be greater than maxSpeakers");
    }
    exactly.unwrap_or(USUAL_SPEAKERS.min(most).max(least))
}

fn scores(event: EventBuilder, fields: &mut Fields<'_>) -> EventBuilder {
    event
        .with_turn_confidence(fields.flag("turnLevelConfidence"))
        .with_exclusive(fields.flag("exclusive"))
        .with_confidence(fields.flag("confidence"))
        .with_speech_probability(fields.flag("speechProbability"))
        .with_crosstalk_probability(fields.flag("crosstalkProbability"))
        .with_speaker_probability(fields.flag("speakerProbability"))
}

fn transcription(fields: &mut Fields<'_>, model: &str) -> bool {
    let transcription = fields.flag("transcription");
    if transcription && model != MODELS[0] {
        fields.wrong("transcription", "is only available with precision-2");
    }
    fields.within("transcriptionConfig", |config| {
        config.one_of("model", &TRANSCRIPTION_MODELS);
    });
    transcription
}

fn voiceprints(event: EventBuilder, fields: &mut Fields<'_>) -> EventBuilder {
    let mut labels = Vec::new();
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
            Some(label) => labels.push(label),
        }
        match item.get("voiceprint").and_then(Value::as_str) {
            Some(voiceprint) if (1..=20_000).contains(&voiceprint.chars().count()) => {}
            _ => fields.wrong(
                &at("voiceprint"),
                "is required and must have 1 to 20000 characters",
            ),
        }
    }
    let (mut exclusive, mut threshold) = (None, None);
    fields.within("matching", |matching| {
        exclusive = matching.optional_flag("exclusive");
        threshold = matching.percent("threshold");
    });
    event
        .with_labels(labels)
        .with_exclusive_matching(exclusive.unwrap_or(true))
        .with_matching_threshold(threshold.unwrap_or(0))
}

const MODELS: [&str; 2] = ["precision-2", "community-1"];
const TRANSCRIPTION_MODELS: [&str; 2] = ["parakeet-tdt-0.6b-v3", "faster-whisper-large-v3-turbo"];
const USUAL_SPEAKERS: u8 = 3;
const MAX_SPEAKERS: u8 = 100;
