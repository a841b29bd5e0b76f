use serde::Serialize;

use super::{ScoreCurve, SpeakerCurves, Text, Transcript, Turns};

/// The output of a diarization: who spoke when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diarization {
    /// The turns. Turns of different speakers may overlap.
    pub diarization: Turns,
    /// The turns without overlap, if requested with `exclusive`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub exclusive_diarization: Turns,
    /// The transcript by words, if requested with `transcription`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub word_level_transcription: Transcript,
    /// The transcript by turns, if requested with `transcription`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub turn_level_transcription: Transcript,
    /// The confidence in the diarization, from 0 to 100, if requested with `confidence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<ScoreCurve>,
    /// The probability that anyone speaks, from 0 to 100, if requested with `speechProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_probability: Option<ScoreCurve>,
    /// The probability that several speak at once, from 0 to 100, if requested with `crosstalkProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crosstalk_probability: Option<ScoreCurve>,
    /// The probability that each speaker speaks, from 0 to 100, if requested with `speakerProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker_probability: Option<SpeakerCurves>,
    /// The warning of pyannoteAI, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Text>,
    /// The error of pyannoteAI, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
}

impl Diarization {
    /// Borrows the turns without overlap, or all turns if those were not requested.
    #[must_use]
    pub fn exclusive_or_all(&self) -> &Turns {
        if self.exclusive_diarization.is_empty() {
            &self.diarization
        } else {
            &self.exclusive_diarization
        }
    }
}

read_object!(Diarization {
    "diarization" => diarization: Turns = Turns::default(),
    "exclusiveDiarization" => exclusive_diarization: Turns = Turns::default(),
    "wordLevelTranscription" => word_level_transcription: Transcript = Transcript::default(),
    "turnLevelTranscription" => turn_level_transcription: Transcript = Transcript::default(),
    "confidence" => confidence: ScoreCurve = None,
    "speechProbability" => speech_probability: ScoreCurve = None,
    "crosstalkProbability" => crosstalk_probability: ScoreCurve = None,
    "speakerProbability" => speaker_probability: SpeakerCurves = None,
    "warning" => warning: Text = None,
    "error" => error: Text = None,
});
