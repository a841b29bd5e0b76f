//! Client of pyannoteAI's API: submits diarization, identification and voiceprint jobs, waits for them, reads and lists
//! them, and moves media.
//!
//! 1. **A submission is repeated only if it created no job**: the API refused it with 429, or no connection could be
//!    made. A repeated submission is a second job. pyannoteAI bills only jobs that succeed, so the second job is billed
//!    too if it succeeds. After a timeout, a 5xx response or a broken connection the call fails, and
//!    [`ClientError::may_have_been_submitted`] returns `true`.
//! 2. **Reads are retried** after all of these errors: 3 times by default, with exponential backoff.
//! 3. **Requests keep to the rate limits**: by default at most 300 job reads in any 60 s, and 100 requests to each other
//!    group of endpoints. Groups do not wait for each other. While the API asks for a pause (`Retry-After`,
//!    `X-RateLimit-Reset`) the client sends nothing to the group, for at most 2 minutes. See
//!    [`ClientBuilder::with_rate_limit`].
//! 4. **Invalid requests are not sent**: the setter that got the value returns [`InvalidRequest`], which names the
//!    field.
//! 5. **Only the API gets the API key**: the client follows no redirect and sends no key to the storage behind a
//!    presigned URL.
//! 6. **Responses are bounded**: by default a job to 128 MiB and a download to 1 GiB, every other response to 1 MiB.
//!
//! A setter `with_*` returns `Self` if every value is valid. Otherwise it returns a `Result`: with [`ConfigError`] for
//! a setting of the client, with [`InvalidRequest`] for a field of a request. Settings that depend on each other are
//! checked by [`ClientBuilder::build`].
//!
//! # Example: upload an audio file and diarize it
//!
//! ```no_run
//! use pyannoteai_client::{Client, DiarizeRequest, MediaKey, Upload};
//!
//! # async fn submit() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::from_env()?;
//!
//! let audio = Upload::from_path("meeting.wav").await?;
//! let key = client.upload(MediaKey::new("meeting.wav")?, audio).await?;
//! let request = DiarizeRequest::new(&key)?.with_webhook("https://example.com/webhook")?;
//! let submitted = client.diarize(request).await?;
//!
//! let job = client.job(&submitted.job_id).await?;
//! println!("{}: {}", job.job_id(), job.status());
//! # Ok(())
//! # }
//! ```
//!
//! [`JobWaiter`] waits for the end of a job. [`FetchOutput`] fetches the output after a webhook with only the status. [`SubmissionLog`] records submitted jobs, so that the events of lost
//! webhooks can be fetched.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `tracing` | log events, through `tracing` |
//! | `metrics` | counters and a histogram, through the `metrics` facade: see the module `metrics` |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod address;
mod api_key;
mod builder;
mod calls;
mod client;
mod config_error;
mod download;
mod endpoint;
mod error;
mod error_kind;
mod fetch_output;
mod gate;
mod intent;
mod invalid_request;
mod job;
mod limiter;
mod media;
mod media_part;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
mod pages;
mod pending;
mod rate_limit_headers;
mod request;
mod response;
mod send;
mod shared_clock;
mod submission_log;
mod subscriptions;
mod telemetry;
mod tls;
mod transfer;
mod upload;
mod url;
mod waiter;

pub use self::{
    builder::ClientBuilder,
    client::Client,
    config_error::ConfigError,
    download::Download,
    error::{ClientError, FieldError},
    error_kind::ClientErrorKind,
    fetch_output::FetchOutput,
    invalid_request::InvalidRequest,
    job::{Job, JobPage, JobSummary, KeyTest, SubmittedJob},
    media::{MediaKey, PresignedUrl},
    media_part::MediaPart,
    pages::JobPages,
    pending::PendingJob,
    request::{
        DiarizeRequest, IdentifyRequest, JobRequest, ListJobs, Model, TranscriptionModel,
        VoiceprintRequest,
    },
    submission_log::{SubmissionIntent, SubmissionLog},
    upload::{Upload, UploadProgress},
    waiter::JobWaiter,
};

/// The HTTP client of [`ClientBuilder::with_http_client`].
pub use reqwest;

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
