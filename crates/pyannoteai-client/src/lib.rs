//! Client of pyannoteAI's API: it submits jobs, awaits them, reads and lists them, and moves media.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod address;
mod answer;
mod builder;
mod client;
mod config_error;
mod desk;
mod download;
mod error;
mod error_kind;
mod job;
mod key;
mod limiter;
mod log;
mod media;
mod pages;
mod pending;
mod request;
mod send;
mod telemetry;
mod time;
mod transfer;
mod upload;
mod waiter;

pub use self::{
    builder::ClientBuilder,
    client::Client,
    config_error::ConfigError,
    download::Download,
    error::{ClientError, FieldError},
    error_kind::ClientErrorKind,
    job::{Job, JobPage, JobSummary, KeyTest, SubmittedJob},
    log::SubmissionLog,
    media::{MediaKey, PresignedUrl},
    pages::JobPages,
    pending::PendingJob,
    request::{
        DiarizeRequest, IdentifyRequest, InvalidRequest, JobRequest, ListJobs, Model,
        TranscriptionModel, VoiceprintRequest,
    },
    upload::{Upload, UploadProgress},
    waiter::JobWaiter,
};

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
