//! Verified, typed pyannoteAI webhooks for any tower-based server.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

#[cfg(feature = "archive")]
mod archive;
mod error;
mod event;
#[cfg(feature = "handler")]
mod handler;

#[cfg(feature = "archive")]
pub use archive::Archive;
pub use error::ConfigError;
pub use event::{
    Delivery, Diarization, EventError, EventOutput, Identification, IdentifiedTurn, Kind, Label,
    LabelMap, Output, Retry, RetryReason, ScoreCurve, Segment, SpeakerCurves, Status, Text,
    Transcript, Turn, Turns, TypedEvent, UnknownOutput, Voiceprint, VoiceprintMatch, WebhookEvent,
    WrongKind,
};
#[cfg(feature = "handler")]
pub use handler::{
    EmptyBody, HandlerError, HandlerFuture, HandlerOutcome, HandlerRegistry, HandlerReport,
    HandlerResponseFuture, HandlerRun, HandlerService, HandlersFailed, WebhookHandler,
};
