//! Archives pyannoteAI's webhook events in an object store, byte for byte as received.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod archive;
mod config_error;
mod error;
#[cfg(feature = "fs")]
#[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
mod fs;
mod metadata;
pub mod metrics;
mod name;
mod names;
mod objects;
mod speakers;
mod telemetry;

#[cfg(feature = "fs")]
pub use self::fs::GroupedFileSystem;
pub use self::{
    archive::Archive,
    config_error::ConfigError,
    metadata::Metadata,
    speakers::{Speakers, SpeakersError, SpeakersHandler, Voiceprints},
};

/// Compiles and runs what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
