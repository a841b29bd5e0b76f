use std::fmt;

use serde::Serialize;

use super::{Analysis, Common, Model, at_least_one, check_metadata, check_reference};
use crate::address::Address;
use crate::invalid_request::InvalidRequest;

/// A request for a diarization: who spoke when.
///
/// Options that are not set are not sent, so that the API's defaults apply.
///
/// # Example: two to four speakers, with a transcription
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
    pub(super) url: Address,
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(flatten)]
    analysis: Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcription: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transcription_config: Option<TranscriptionConfig>,
}

impl DiarizeRequest {
    /// Makes a request for an audio of at most 1 GiB and 24 h, by its URL or its [`MediaKey`](crate::MediaKey).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the URL is not `http`, `https`, or `media://` and a key.
    pub fn new(url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        Ok(Self {
            url: Address::audio(url.as_ref())?,
            common: Common::default(),
            analysis: Analysis::default(),
            transcription: None,
            transcription_config: None,
        })
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if a transcription is requested and the model cannot transcribe.
    pub fn with_model(mut self, model: Model) -> Result<Self, InvalidRequest> {
        self.analysis.model = Some(model);
        self.check_transcription("model")?;
        Ok(self)
    }

    /// Sets whether the output has a transcription. Default: no.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if a transcription is requested and the model is not [`Model::Precision2`].
    pub fn with_transcription(mut self, wanted: bool) -> Result<Self, InvalidRequest> {
        self.transcription = Some(wanted);
        self.check_transcription("transcription")?;
        Ok(self)
    }

    /// Sets the model of the transcription. Default: the API's.
    pub fn with_transcription_model(mut self, model: TranscriptionModel) -> Self {
        self.transcription_config = Some(TranscriptionConfig { model });
        self
    }

    common_setters!();
    analysis_setters!();

    fn check_transcription(&self, field: &'static str) -> Result<(), InvalidRequest> {
        match (self.transcription, self.analysis.model) {
            (Some(true), Some(Model::Community1)) => Err(InvalidRequest::new(
                field,
                "needs the model precision-2, because no other model transcribes",
            )),
            _ => Ok(()),
        }
    }
}

/// A model of transcriptions.
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
    /// Returns the API's name of the model.
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
