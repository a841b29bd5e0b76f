//! Webhook events and their typed outputs.
//!
//! If your words come from another speech recognizer, [`assign_speakers`] assigns them to the speakers of a diarization.

#[macro_use]
mod macros;

mod assign;
mod delivery;
pub(crate) mod diarization;
mod envelope;
mod error;
mod format;
pub(crate) mod identification;
mod job_metadata;
mod json;
mod label;
mod label_map;
pub(crate) mod output;
mod retry;
mod scores;
mod source;
pub(crate) mod status;
mod text;
mod transcript;
mod turns;
pub(crate) mod typed;
pub(crate) mod voiceprint;
pub(crate) mod webhook_event;

pub use jiff::Timestamp;

#[cfg(feature = "layer")]
pub(crate) use self::envelope::EnvelopeScan;
pub use self::{
    assign::{
        AssignError, AssignedWords, ReadWordsError, assign_speakers, assign_speakers_within,
        read_words,
    },
    delivery::Delivery,
    error::EventError,
    identification::{IdentifiedTurn, VoiceprintMatch},
    job_metadata::{JobMetadata, JobMetadataError},
    label::Label,
    label_map::LabelMap,
    output::{UnknownOutput, UnknownReason},
    retry::{Retry, RetryReason},
    scores::{ScoreCurve, SpeakerCurves},
    source::Source,
    text::Text,
    transcript::{Segment, Transcript},
    turns::{Turn, Turns},
    typed::{EventOutput, WrongKind},
};
pub(crate) use self::{
    diarization::Diarization, identification::Identification, output::Kind, status::Status,
    voiceprint::Voiceprint,
};

#[cfg(test)]
mod tests;
