//! Passes pyannoteAI's webhook events on to programs in any language.
//!
//! - [`Forward`] posts each event to an HTTP endpoint, signed by [Standard Webhooks](https://www.standardwebhooks.com).
//! - [`Relay`] publishes each event to a broker: to NATS JetStream with the feature `nats`, or to a broker of your own
//!   through [`Publisher`].
//!
//! Both are [`WebhookHandler`](tower_pyannote::WebhookHandler)s. They send an event once, and return an error if that
//! failed. Put them behind the inbox of `tower-pyannote-inbox`. It retries failed events, keeps a result for each handler,
//! and handles the events of one job one at a time.
//!
//! Both describe an event by [CloudEvents](https://cloudevents.io) 1.0, in binary mode:
//!
//! | attribute | value |
//! |---|---|
//! | `specversion` | `1.0` |
//! | `id` | the [event key](event_key), which is also the `webhook-id` and the `Nats-Msg-Id` |
//! | `type` | `ai.pyannote.{kind}.{status}`, such as `ai.pyannote.diarization.succeeded` |
//! | `source` | `https://api.pyannote.ai` |
//! | `subject` | the job id; absent if it is empty or would take over 1 KiB |
//! | `reference` | the [reference](tower_pyannote::WebhookEvent::reference) that was submitted with the job, if it is known |
//! | `time` | the time at which the event was first received, in RFC 3339 |
//! | `datacontenttype` | `application/json`, as the header `content-type` |
//!
//! `kind` is [`WebhookEvent::job_kind`](tower_pyannote::WebhookEvent::job_kind): `diarization`, `identification`,
//! `voiceprint` or `unknown`, and `none` if it is not known. The kind of a failed job is known only behind an inbox that
//! recorded the submission. `status` is `succeeded`, `failed`, `canceled`, or `other` for any other status.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `http` (default) | [`Forward`] |
//! | `nats` | [`NatsPublisher`], and [`Relay::nats`] |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod cloud_event;
mod config_error;
mod event_key;
mod filter;
#[cfg(feature = "http")]
mod forward;
pub mod metrics;
mod relay;
mod telemetry;

pub use self::{
    config_error::ConfigError,
    event_key::event_key,
    filter::EventFilter,
    relay::{Message, Publisher, Relay},
};

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use self::forward::{Forward, ForwardBuilder, SigningSecret};

#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub use self::relay::nats::{NatsBuilder, NatsPublisher};

/// The NATS client of [`NatsPublisher::over`].
#[cfg(feature = "nats")]
#[cfg_attr(docsrs, doc(cfg(feature = "nats")))]
pub use async_nats;

/// The HTTP client whose DNS resolver [`ForwardBuilder::with_resolver`] takes.
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use reqwest;

/// Compiles what the README shows.
#[cfg(all(doctest, feature = "http", feature = "nats"))]
#[doc = include_str!("../README.md")]
mod readme {}
