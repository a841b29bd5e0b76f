#[macro_use]
mod macros;

mod diarize;
mod identify;
mod list;
mod voiceprint;

use std::fmt;

use serde::Serialize;
use tower_pyannote::Kind;
use tower_pyannote::event::{JobMetadata, JobMetadataError, Text};

use crate::address::Address;
use crate::endpoint::Endpoint;
use crate::invalid_request::InvalidRequest;

pub use self::diarize::{DiarizeRequest, TranscriptionModel};
pub use self::identify::IdentifyRequest;
pub use self::list::ListJobs;
pub use self::voiceprint::VoiceprintRequest;

/// A request for a job of any kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum JobRequest {
    /// Who spoke when.
    Diarize(DiarizeRequest),
    /// Which of the given voiceprints spoke when.
    Identify(IdentifyRequest),
    /// A voiceprint of the only speaker.
    Voiceprint(VoiceprintRequest),
}

impl JobRequest {
    /// Returns the kind of the job's output.
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

    pub(super) const fn endpoint(&self) -> Endpoint {
        match self {
            Self::Diarize(_) => Endpoint::Diarize,
            Self::Identify(_) => Endpoint::Identify,
            Self::Voiceprint(_) => Endpoint::Voiceprint,
        }
    }

    /// Returns the reference of your own that travels with the job, if any.
    #[must_use]
    pub fn reference(&self) -> Option<&Text> {
        self.common().reference.as_ref()
    }

    /// Returns the JSON of your own that travels with the job, if any.
    #[must_use]
    pub fn metadata(&self) -> Option<&JobMetadata> {
        self.common().metadata.as_ref()
    }

    /// Returns the URL of the audio.
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Diarize(request) => request.url.as_str(),
            Self::Identify(request) => request.url.as_str(),
            Self::Voiceprint(request) => request.url.as_str(),
        }
    }

    pub(super) fn is_status_only(&self) -> bool {
        self.common().webhook_status_only == Some(true)
    }

    pub(super) fn set_default_webhook(&mut self, url: &Address) {
        let common = match self {
            Self::Diarize(request) => &mut request.common,
            Self::Identify(request) => &mut request.common,
            Self::Voiceprint(request) => &mut request.common,
        };
        common.webhook.get_or_insert_with(|| url.clone());
    }

    fn common(&self) -> &Common {
        match self {
            Self::Diarize(request) => &request.common,
            Self::Identify(request) => &request.common,
            Self::Voiceprint(request) => &request.common,
        }
    }
}

macro_rules! from_request {
    ($($request:ident => $kind:ident),*) => {
        $(impl From<$request> for JobRequest {
            fn from(request: $request) -> Self {
                Self::$kind(request)
            }
        })*
    };
}

from_request!(DiarizeRequest => Diarize, IdentifyRequest => Identify, VoiceprintRequest => Voiceprint);

/// A model of diarizations, identifications and voiceprints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub enum Model {
    /// `precision-2`, the API's default.
    #[serde(rename = "precision-2")]
    Precision2,
    /// `community-1`, which only diarizes: without transcription, identification and voiceprints.
    #[serde(rename = "community-1")]
    Community1,
}

impl Model {
    /// Returns the API's name of the model.
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

/// The fields that every request has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Common {
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_status_only: Option<bool>,
    /// Not a field of the API.
    #[serde(skip)]
    reference: Option<Text>,
    /// Not a field of the API.
    #[serde(skip)]
    metadata: Option<JobMetadata>,
}

/// The fields that diarization and identification share.
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
    fn check_speakers(&self, field: &'static str) -> Result<(), InvalidRequest> {
        let reason = match (self.num_speakers, self.min_speakers, self.max_speakers) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                "cannot be combined: give `numSpeakers`, or `minSpeakers` and `maxSpeakers`"
            }
            (_, Some(min), Some(max)) if min > max => {
                "makes `minSpeakers` greater than `maxSpeakers`: give a smaller `minSpeakers`"
            }
            _ => return Ok(()),
        };
        Err(InvalidRequest::new(field, reason))
    }
}

/// Checks the model of an identification or a voiceprint.
fn check_precision(model: Model) -> Result<Model, InvalidRequest> {
    match model {
        Model::Precision2 => Ok(model),
        Model::Community1 => Err(InvalidRequest::new(
            "model",
            "only diarizes: give precision-2, or leave out the model",
        )),
    }
}

fn check_reference(reference: &str) -> Result<Text, InvalidRequest> {
    let reason = if reference.is_empty() {
        "is empty: give a key of your own, or leave it out"
    } else if reference.len() > MAX_REFERENCE_BYTES {
        "is longer than 255 bytes: give a key, and keep the rest in the metadata"
    } else if reference.chars().any(char::is_control) {
        "has a control character: give plain text"
    } else {
        return Ok(reference.into());
    };
    Err(InvalidRequest::new("reference", reason))
}

fn check_metadata(value: &(impl Serialize + ?Sized)) -> Result<JobMetadata, InvalidRequest> {
    JobMetadata::new(value).map_err(|error| {
        let reason = match error {
            JobMetadataError::TooLong { .. } => {
                "has more than 4,096 bytes of json: keep the rest in a store of your own"
            }
            _ => "cannot be written as json: give a value that json can express",
        };
        InvalidRequest::new("metadata", reason)
    })
}

fn at_least_one(field: &'static str, number: u32) -> Result<u32, InvalidRequest> {
    match number {
        0 => Err(InvalidRequest::new(field, "is 0: give at least 1")),
        number => Ok(number),
    }
}

const MAX_REFERENCE_BYTES: usize = 255;
