//! Webhook events and their data.

#[macro_use]
mod macros;

mod captions;
mod delivery;
mod diarization;
mod envelope;
mod error;
mod identification;
mod intervals;
mod label;
mod label_map;
mod lossy;
mod output;
mod read;
mod retry;
mod rttm;
mod scan;
mod scores;
mod status;
mod syntax;
mod text;
mod transcript;
mod turns;
mod typed;
mod voiceprint;
mod webhook_event;

#[cfg(feature = "layer")]
pub(crate) use self::envelope::EnvelopeScan;
pub use self::{
    delivery::Delivery,
    diarization::Diarization,
    error::EventError,
    identification::{Identification, IdentifiedTurn, VoiceprintMatch},
    label::Label,
    label_map::LabelMap,
    output::{Kind, Output, UnknownOutput, UnknownReason},
    retry::{Retry, RetryReason},
    scores::{ScoreCurve, SpeakerCurves},
    status::Status,
    text::Text,
    transcript::{Segment, Transcript},
    turns::{Turn, Turns},
    typed::{EventOutput, TypedEvent, WrongKind},
    voiceprint::Voiceprint,
    webhook_event::WebhookEvent,
};
