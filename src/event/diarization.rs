use serde::Serialize;

use super::{ScoreCurve, SpeakerCurves, Text, Transcript, Turns};

/// The output of a diarization: who spoke when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Diarization {
    /// The turns; those of several speakers may overlap.
    pub diarization: Turns,
    /// The turns without overlap, if asked for with `exclusive`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub exclusive_diarization: Turns,
    /// The words, if asked for with `transcription`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub word_level_transcription: Transcript,
    /// The text of each turn, if asked for with `transcription`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub turn_level_transcription: Transcript,
    /// How sure the diarization is, from 0 to 100, if asked for with `confidence`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<ScoreCurve>,
    /// How probable it is that anyone speaks, if asked for with `speechProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_probability: Option<ScoreCurve>,
    /// How probable it is that several speak at once, if asked for with `crosstalkProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crosstalk_probability: Option<ScoreCurve>,
    /// How probable it is that each speaker speaks, if asked for with `speakerProbability`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker_probability: Option<SpeakerCurves>,
    /// What pyannoteAI warns of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Text>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
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
