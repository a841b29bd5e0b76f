//! Tower middleware that verifies pyannoteAI's webhooks and passes them on as typed events.
//!
//! [`PyannoteSignatureLayer`] wraps any HTTP service. A request reaches the service if it passes these checks. The
//! first check that fails refuses the request:
//!
//! 1. The method is `POST`: else 405.
//! 2. There is exactly one `X-Request-Timestamp` and one `X-Signature`: 401 if one is missing, 400 if one is duplicate.
//! 3. The timestamp is 1 to 19 digits. The signature is 64 hex digits, or 44 or 43 characters of base64, after an optional
//!    `v0=`: else 400.
//! 4. The timestamp is at most 600 s older or newer than now: else 401.
//! 5. The body and its announced length are at most 128 MiB: else 413. Requests that are invalid by their headers are refused
//!    before the body is read.
//! 6. The body does not stall, is not too slow and takes at most 30 s: else 408. The connection does not fail: else 400. The
//!    byte budget, which all bodies share, has room for it within 5 s: else 503.
//! 7. The signature is the HMAC-SHA256, under one of the secrets, of `v0:`, the timestamp, `:` and the body: else 401.
//!    No byte of the body is parsed before this check.
//! 8. The body is JSON that names its job: else 400.
//!
//! A refusal has no body. Its reason, a [`Rejection`](layer::Rejection), is in the response's extensions. The service
//! gets the whole body, and a [`WebhookEvent`] in the request's extensions. The event types its output on first use.
//!
//! # Deployment caveats
//!
//! - The signature is over the bytes as sent: put the layer outside of middleware that changes the body, such as
//!   decompression.
//! - A captured delivery can be replayed while its timestamp is fresh, and pyannoteAI retries a delivery that got no
//!   2xx. Handlers must therefore be idempotent. `jobId` and `status` together identify an event.
//! - The path, the query and the `x-retry-*` headers are not signed.
//! - The layer answers a request that is invalid by its headers while the body may still be arriving. If the server
//!   then closes the connection at once, as hyper does, the sender may see a reset in place of the answer.
//!   `pyannote-receiver` avoids the reset: it reads the rest of the body for a short time.
//!
//! # Example
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::{SystemTime, UNIX_EPOCH};
//!
//! use bytes::Bytes;
//! use http::{Request, Response, StatusCode};
//! use http_body_util::Full;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_pyannote::{PyannoteSignatureLayer, SigningKey, WebhookEvent, WebhookSecret, layer::VerifiedBody};
//!
//! async fn webhook(request: Request<VerifiedBody>) -> Result<Response<String>, Infallible> {
//!     let event: &WebhookEvent = request.extensions().get().expect("the layer puts it there");
//!     Ok(Response::new(event.job_id().to_owned()))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = WebhookSecret::new("whs_example")?;
//! let service = ServiceBuilder::new()
//!     .layer(PyannoteSignatureLayer::new(secret.clone()))
//!     .service(service_fn(webhook));
//!
//! // A delivery that pyannoteAI signed is accepted.
//! let body = r#"{"jobId":"a1","status":"succeeded"}"#;
//! let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string();
//! let signature = SigningKey::new(&secret).sign(&timestamp, body.as_bytes()).to_hex();
//! let deliver = |body: &'static str| {
//!     Request::post("/webhook")
//!         .header("x-request-timestamp", &timestamp)
//!         .header("x-signature", &signature)
//!         .body(Full::<Bytes>::from(body))
//! };
//! let response = service.clone().oneshot(deliver(body)?).await?;
//! assert_eq!(response.body(), "a1");
//!
//! // Another body under the same signature is refused.
//! let response = service.oneshot(deliver(r#"{"jobId":"a1","status":"failed"}"#)?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # Modules
//!
//! | what | where to begin | feature |
//! |---|---|---|
//! | verify without tower | [`Verifier`], [`verify`] | |
//! | events and their outputs | [`WebhookEvent`], [`Output`], [`event`] | |
//! | the middleware | [`PyannoteSignatureLayer`], [`layer`], [`clock`] | `layer`, on by default |
//! | handlers, and a registry that runs them | [`WebhookHandler`], [`HandlerRegistry`], [`handler`] | `handler`, on by default |
//! | extractors for axum | [`AckOthers`](axum::AckOthers), [`TypedEvent`], [`axum`] | `axum` |
//! | sign, make and deliver events in tests | [`SignedRequest`](testing::SignedRequest), [`EventBuilder`](testing::EventBuilder), [`testing`] | `testing` |
//! | logs, and a span for each delivery | | `tracing` |
//! | counters, gauges and histograms | [`metrics`] | `metrics` |
//!
//! # Guides
//!
//! [First hour](guides::first_hour), [from FastAPI](guides::from_fastapi), [deploying](guides::deploying),
//! [operating](guides::operating), [the page](guides::page), [troubleshooting](guides::troubleshooting),
//! [other languages](guides::other_languages).
//!
//! # Crates around this one
//!
//! - `tower-pyannote-inbox` commits events to SQLite or PostgreSQL before they are acknowledged, and retries handlers.
//! - `tower-pyannote-archive` is a handler that stores each event in an object store.
//! - `tower-pyannote-forward` has handlers that pass events on: signed over HTTP, or to NATS JetStream.
//! - `pyannoteai-client` submits jobs, reads them, moves media, and waits for a job by webhook or polling.
//! - `pyannote-receiver` is a complete receiver, as a program and a library. Its command `doctor` explains why a
//!   signature does not match.
//! - `pyannote-simulator` imitates pyannoteAI's API and webhooks, for development and tests.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(all(
        feature = "layer",
        feature = "handler",
        feature = "axum",
        feature = "testing"
    )),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "links to items of disabled features"
    )
)]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

#[cfg(feature = "axum")]
pub mod axum;
#[cfg(feature = "layer")]
pub mod clock;
mod error;
pub mod event;
#[cfg(doc)]
pub mod guides;
#[cfg(feature = "handler")]
pub mod handler;
#[cfg(feature = "layer")]
mod headers;
#[cfg(feature = "layer")]
pub mod layer;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(any(feature = "axum", feature = "handler"))]
mod offload;
mod secret;
mod signature;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod verifier;

#[cfg(feature = "handler")]
pub use self::handler::{
    error::HandlerError, registry::HandlerRegistry, webhook_handler::WebhookHandler,
};
#[cfg(feature = "layer")]
pub use self::layer::signature_layer::PyannoteSignatureLayer;
pub use self::{
    error::ConfigError,
    event::{
        diarization::Diarization,
        identification::Identification,
        output::{Kind, Output},
        status::Status,
        typed::TypedEvent,
        voiceprint::Voiceprint,
        webhook_event::WebhookEvent,
    },
    secret::{SecretSet, WebhookSecret},
    signature::{Signature, SigningKey},
    verifier::Verifier,
};

/// The parts of a verification: errors, encodings, and bodies that are hashed in pieces.
pub mod verify {
    pub use crate::{
        secret::{SecretError, SecretErrorKind},
        signature::{ParseSignatureError, SignatureEncoding, Signer},
        verifier::{Mismatch, Verification, Verified, VerifyError},
    };
}

/// Compiles and runs the examples of the README.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
mod readme {}
