#[macro_use]
mod macros;

mod diarize;
mod identify;
mod invalid;
mod list;
mod voiceprint;

use std::fmt;

use serde::Serialize;

use crate::address::Address;
use tower_pyannote::Kind;

pub use self::diarize::{DiarizeRequest, TranscriptionModel};
pub use self::identify::IdentifyRequest;
pub use self::invalid::InvalidRequest;
pub use self::list::ListJobs;
pub use self::voiceprint::VoiceprintRequest;

/// A job to submit, of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum JobRequest {
    /// Who spoke when.
    Diarize(DiarizeRequest),
    /// Who of the given voiceprints spoke when.
    Identify(IdentifyRequest),
    /// A voiceprint of one speaker.
    Voiceprint(VoiceprintRequest),
}

impl JobRequest {
    /// Returns the kind of output that the job will have.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Diarize(_) => Kind::Diarization,
            Self::Identify(_) => Kind::Identification,
            Self::Voiceprint(_) => Kind::Voiceprint,
        }
    }

    pub(super) const fn call(&self) -> &'static str {
        match self {
            Self::Diarize(_) => "diarize",
            Self::Identify(_) => "identify",
            Self::Voiceprint(_) => "voiceprint",
        }
    }

    pub(super) fn is_status_only(&self) -> bool {
        let delivery = match self {
            Self::Diarize(request) => &request.delivery,
            Self::Identify(request) => &request.delivery,
            Self::Voiceprint(request) => &request.delivery,
        };
        delivery.webhook_status_only == Some(true)
    }

    pub(super) fn set_default_webhook(&mut self, webhook: &Address) {
        let delivery = match self {
            Self::Diarize(request) => &mut request.delivery,
            Self::Identify(request) => &mut request.delivery,
            Self::Voiceprint(request) => &mut request.delivery,
        };
        delivery.webhook.get_or_insert_with(|| webhook.clone());
    }
}

impl From<DiarizeRequest> for JobRequest {
    fn from(request: DiarizeRequest) -> Self {
        Self::Diarize(request)
    }
}

impl From<IdentifyRequest> for JobRequest {
    fn from(request: IdentifyRequest) -> Self {
        Self::Identify(request)
    }
}

impl From<VoiceprintRequest> for JobRequest {
    fn from(request: VoiceprintRequest) -> Self {
        Self::Voiceprint(request)
    }
}

/// The model that does a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum Model {
    /// `precision-2`, what the API takes if none is named.
    #[serde(rename = "precision-2")]
    Precision2,
    /// `community-1`, which does not transcribe.
    #[serde(rename = "community-1")]
    Community1,
}

impl Model {
    /// Returns the model as the API calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Precision2 => "precision-2",
            Self::Community1 => "community-1",
        }
    }
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the result is delivered.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_status_only: Option<bool>,
}

/// What diarization and identification have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
    #[serde(skip_serializing_if = "Option::is_none")]
    num_speakers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_speakers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_speakers: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_level_confidence: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speech_probability: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crosstalk_probability: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    speaker_probability: Option<bool>,
}

impl Analysis {
    fn check_range(&self, field: &'static str) -> Result<(), InvalidRequest> {
        match (self.min_speakers, self.max_speakers) {
            (Some(min), Some(max)) if min > max => Err(InvalidRequest::new(
                field,
                "leaves no number of speakers, give a `minSpeakers` of at most `maxSpeakers`",
            )),
            _ => Ok(()),
        }
    }
}

fn at_least_one(field: &'static str, number: u32) -> Result<u32, InvalidRequest> {
    match number {
        0 => Err(InvalidRequest::new(field, "is 0, give at least 1")),
        number => Ok(number),
    }
}
