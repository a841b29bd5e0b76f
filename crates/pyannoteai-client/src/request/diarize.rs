use std::fmt;

use serde::Serialize;

use super::{Analysis, Delivery, InvalidRequest, Model, at_least_one};
use crate::address::Address;

/// A diarization to submit: who spoke when.
///
/// What is not set is not sent, so that the API's own defaults hold.
///
/// # Example: two to four speakers, and what they said
///
/// ```
/// use pyannoteai_client::{DiarizeRequest, InvalidRequest, TranscriptionModel};
///
/// let request = DiarizeRequest::new("https://example.com/meeting.wav")?
///     .with_min_speakers(2)?
///     .with_max_speakers(4)?
///     .with_transcription(true)?
///     .with_transcription_model(TranscriptionModel::FasterWhisperLargeV3Turbo);
///
/// let refused = request.with_min_speakers(5).unwrap_err();
/// assert_eq!(refused.field(), "minSpeakers");
/// # Ok::<(), InvalidRequest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct DiarizeRequest {
    url: Address,
    #[serde(flatten)]
    pub(super) delivery: Delivery,
    #[serde(flatten)]
    analysis: Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcription: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcription_config: Option<TranscriptionConfig>,
}

impl DiarizeRequest {
    /// Makes a request for an audio, by its URL or its [`MediaKey`](crate::MediaKey).
    ///
    /// The audio may have up to 1 GiB and last up to 24 h.
    ///
    /// # Errors
    ///
    /// The URL is neither `http`, `https` nor `media://` and a key.
    pub fn new(url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        Ok(Self {
            url: Address::of_audio(url.as_ref())?,
            delivery: Delivery::default(),
            analysis: Analysis::default(),
            transcription: None,
            transcription_config: None,
        })
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    ///
    /// # Errors
    ///
    /// The model does not transcribe, and a transcription is asked for.
    pub fn with_model(mut self, model: Model) -> Result<Self, InvalidRequest> {
        self.analysis.model = Some(model);
        self.check_transcription("model")?;
        Ok(self)
    }

    /// Sets whether the output has a transcript. Default: no.
    ///
    /// # Errors
    ///
    /// The model is not [`Model::Precision2`].
    pub fn with_transcription(mut self, wanted: bool) -> Result<Self, InvalidRequest> {
        self.transcription = Some(wanted);
        self.check_transcription("transcription")?;
        Ok(self)
    }

    /// Sets the model that transcribes. Default: the API's.
    pub fn with_transcription_model(mut self, model: TranscriptionModel) -> Self {
        self.transcription_config = Some(TranscriptionConfig { model });
        self
    }

    delivery_setters!();
    analysis_setters!();

    fn check_transcription(&self, field: &'static str) -> Result<(), InvalidRequest> {
        match (self.transcription, self.analysis.model) {
            (Some(true), Some(Model::Community1)) => Err(InvalidRequest::new(
                field,
                "rules out the other, as only precision-2 gives a transcription",
            )),
            _ => Ok(()),
        }
    }
}

/// The model that transcribes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum TranscriptionModel {
    /// `parakeet-tdt-0.6b-v3`.
    #[serde(rename = "parakeet-tdt-0.6b-v3")]
    ParakeetTdt06bV3,
    /// `faster-whisper-large-v3-turbo`.
    #[serde(rename = "faster-whisper-large-v3-turbo")]
    FasterWhisperLargeV3Turbo,
}

impl TranscriptionModel {
    /// Returns the model as the API calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ParakeetTdt06bV3 => "parakeet-tdt-0.6b-v3",
            Self::FasterWhisperLargeV3Turbo => "faster-whisper-large-v3-turbo",
        }
    }
}

impl fmt::Display for TranscriptionModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TranscriptionConfig {
    model: TranscriptionModel,
}
