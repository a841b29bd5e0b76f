use std::collections::HashMap;

use serde::Serialize;

use super::{Label, LabelMap, ScoreCurve, SpeakerCurves, Text, Turn, Turns};

/// The output of an identification: which of the given voiceprints spoke when.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Identification {
    /// The turns of anonymous speakers. Turns of different speakers may overlap.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub diarization: Turns,
    /// The turns of anonymous speakers without overlap, if requested with `exclusive`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub exclusive_diarization: Turns,
    /// The turns of identified speakers. Turns of different speakers may overlap.
    pub identification: Vec<IdentifiedTurn>,
    /// The voiceprint that each anonymous speaker matches.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub voiceprints: Vec<VoiceprintMatch>,
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

impl Identification {
    /// Returns the turns of `identification`, each with the label of [`who`](IdentifiedTurn::who) speaks.
    ///
    /// Turns of different speakers may overlap. Without `identification`, returns the turns of `diarization`, labelled by the
    /// matches in `voiceprints`. See [`exclusive_turns`](Self::exclusive_turns) for turns without overlap.
    #[must_use]
    pub fn turns(&self) -> Turns {
        if self.identification.is_empty() {
            return self.labelled(&self.diarization);
        }
        self.identification
            .iter()
            .map(IdentifiedTurn::to_turn)
            .collect()
    }

    /// Returns the turns of `exclusive_diarization`, which do not overlap, labelled by the matches in `voiceprints`.
    ///
    /// Speakers without a match keep their anonymous label. Returns no turns if the job was submitted without `exclusive`.
    #[must_use]
    pub fn exclusive_turns(&self) -> Turns {
        self.labelled(&self.exclusive_diarization)
    }

    fn labelled(&self, turns: &Turns) -> Turns {
        let matches = self
            .voiceprints
            .iter()
            .filter_map(|voiceprint| Some((&voiceprint.speaker, voiceprint.matched.as_ref()?)));
        let matches: HashMap<&Label, &Label> = matches.collect();
        let labelled = turns.iter().cloned().map(|mut turn| {
            if let Some(label) = matches.get(&turn.speaker) {
                turn.speaker = (*label).clone();
            }
            turn
        });
        labelled.collect()
    }
}

read_object!(Identification {
    "diarization" => diarization: Turns = Turns::default(),
    "exclusiveDiarization" => exclusive_diarization: Turns = Turns::default(),
    "identification" => identification: Vec<IdentifiedTurn> = Vec::new(),
    "voiceprints" => voiceprints: Vec<VoiceprintMatch> = Vec::new(),
    "confidence" => confidence: ScoreCurve = None,
    "speechProbability" => speech_probability: ScoreCurve = None,
    "crosstalkProbability" => crosstalk_probability: ScoreCurve = None,
    "speakerProbability" => speaker_probability: SpeakerCurves = None,
    "warning" => warning: Text = None,
    "error" => error: Text = None,
});

/// A stretch of audio in which one identified speaker speaks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IdentifiedTurn {
    /// The speaker: the label of a voiceprint, or of an anonymous speaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<Label>,
    /// The start of the turn, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<f64>,
    /// The end of the turn, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// The confidence in each label, from 0 to 100; empty if it was not sent.
    #[serde(skip_serializing_if = "LabelMap::is_empty")]
    pub confidence: LabelMap<f32>,
    /// The anonymous speaker of the turn; empty if it was not sent.
    pub diarization_speaker: Label,
    /// The label of the voiceprint that matches; `match` on the wire.
    #[serde(rename = "match")]
    pub matched: Option<Label>,
}

impl IdentifiedTurn {
    /// Returns the best label of the speaker: the matching voiceprint, else the speaker, else the anonymous speaker.
    #[must_use]
    pub fn who(&self) -> &Label {
        let named = self.matched.as_ref().or(self.speaker.as_ref());
        named.unwrap_or(&self.diarization_speaker)
    }

    fn to_turn(&self) -> Turn {
        Turn {
            speaker: self.who().clone(),
            start: self.start.unwrap_or(f64::NAN),
            end: self.end.unwrap_or(f64::NAN),
            confidence: self.confidence.clone(),
        }
    }
}

read_object!(IdentifiedTurn {
    "speaker" => speaker: Label = None,
    "start" => start: f64 = None,
    "end" => end: f64 = None,
    "confidence" => confidence: LabelMap<f32> = LabelMap::new(),
    "diarizationSpeaker" => diarization_speaker: Label = Label::default(),
    "match" => matched: Label = None,
});

/// The voiceprint that an anonymous speaker matches.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct VoiceprintMatch {
    /// The anonymous speaker; empty if it was not sent.
    pub speaker: Label,
    /// The label of the voiceprint that matches, if any does; `match` on the wire.
    #[serde(rename = "match")]
    pub matched: Option<Label>,
    /// The score of each voiceprint, from 0 to 100.
    pub confidence: LabelMap<f32>,
}

read_object!(VoiceprintMatch {
    "speaker" => speaker: Label = Label::default(),
    "match" => matched: Label = None,
    "confidence" => confidence: LabelMap<f32> = LabelMap::new(),
});
