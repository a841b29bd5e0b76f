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
#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "layer")]
mod clock;
mod error;
mod event;
#[cfg(feature = "handler")]
mod handler;
#[cfg(feature = "layer")]
mod layer;
#[cfg(any(feature = "layer", feature = "handler"))]
mod offload;
mod secret;
mod signature;
#[cfg(feature = "layer")]
mod telemetry;
mod verifier;

#[cfg(feature = "archive")]
pub use self::archive::Archive;
#[cfg(feature = "axum")]
pub use self::axum::{AckOthers, AckOthersRejection, MissingEvent, TypedEventRejection};
#[cfg(feature = "layer")]
pub use self::clock::{Clock, ManualClock, ManualSleep, SystemClock, SystemSleep};
pub use self::error::ConfigError;
pub use self::event::{
    Delivery, Diarization, EventError, EventOutput, Identification, IdentifiedTurn, Kind, Label,
    LabelMap, Output, Retry, RetryReason, ScoreCurve, Segment, SpeakerCurves, Status, Text,
    Transcript, Turn, Turns, TypedEvent, UnknownOutput, Voiceprint, VoiceprintMatch, WebhookEvent,
    WrongKind,
};
#[cfg(feature = "handler")]
pub use self::handler::{
    EmptyBody, HandlerError, HandlerFuture, HandlerOutcome, HandlerRegistry, HandlerReport,
    HandlerResponseFuture, HandlerRun, HandlerService, HandlersFailed, WebhookHandler,
};
#[cfg(feature = "layer")]
pub use self::layer::{
    ByteBudget, DefaultResponseForRejection, PyannoteSignature, PyannoteSignatureLayer, Rejection,
    ResponseForRejection, ResponseFuture, VerifiedBody,
};
pub use self::secret::{SecretError, SecretErrorKind, SecretSet, WebhookSecret};
pub use self::signature::{Signature, SignatureEncoding, Signer, SigningKey};
pub use self::verifier::{Mismatch, Verification, Verified, Verifier, VerifyError};
