//! The structs of a receiver that uses serde_json without this crate: Strings, and exactly one kind of body.

use std::collections::HashMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Body<T> {
    pub job_id: String,
    pub status: String,
    pub output: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diarization {
    pub diarization: Vec<Turn>,
    pub exclusive_diarization: Option<Vec<Turn>>,
    pub word_level_transcription: Option<Vec<Segment>>,
    pub turn_level_transcription: Option<Vec<Segment>>,
    pub confidence: Option<Curve>,
}

#[derive(Deserialize)]
pub struct Turn {
    pub speaker: String,
    pub start: f64,
    pub end: f64,
    pub confidence: Option<HashMap<String, f64>>,
}

#[derive(Deserialize)]
pub struct Segment {
    pub start: f64,
    pub end: f64,
    pub text: String,
    pub speaker: String,
}

#[derive(Deserialize)]
pub struct Curve {
    pub score: Vec<f64>,
    pub resolution: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identification {
    pub diarization: Vec<Turn>,
    pub identification: Vec<Identified>,
    pub voiceprints: Vec<Voice>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identified {
    pub speaker: String,
    pub start: f64,
    pub end: f64,
    pub confidence: Option<HashMap<String, f64>>,
    pub diarization_speaker: String,
    #[serde(rename = "match")]
    pub matched: Option<String>,
}

#[derive(Deserialize)]
pub struct Voice {
    pub speaker: String,
    #[serde(rename = "match")]
    pub matched: Option<String>,
    pub confidence: HashMap<String, f64>,
}

#[derive(Deserialize)]
pub struct Voiceprint {
    pub voiceprint: String,
}
