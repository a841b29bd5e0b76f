//! Tower middleware that verifies pyannoteAI's webhooks and types them.
//!
//! [`PyannoteSignatureLayer`] goes around any HTTP service. A request reaches that service if all of this holds, and is
//! refused at the first that does not:
//!
//! 1. Its method is `POST`: else 405.
//! 2. It has exactly one `X-Request-Timestamp` and one `X-Signature`: 401 if one is missing, 400 if one is there twice.
//! 3. The timestamp is 1 to 19 digits, and the signature 64 hex digits or 44 or 43 characters of base64, after an optional
//!    `v0=`: else 400.
//! 4. The timestamp is at most 600 s older or newer than now: else 401.
//! 5. The body does not say that it is longer than the limit of 128 MiB, and is not: else 413. What came before this was
//!    told by the head, and refused before a byte of the body was read.
//! 6. The body does not stall, crawl or take longer than 30 s: else 408. It does not break off: else 400. The bodies in
//!    flight leave room for it, within 5 s: else 503.
//! 7. The signature is the HMAC-SHA256, under one of the secrets, of `v0:`, the timestamp, `:` and the body: else 401.
//! 8. The body is JSON that names its job: else 400.
//!
//! A refusal has no body; its reason, a [`Rejection`], is in the response's extensions. The service gets the whole body
//! again, and a [`WebhookEvent`] in the request's extensions, whose output is typed when it is first asked for.
//!
//! # Deployment caveats
//!
//! - The signature is over the bytes as sent: put the layer outside whatever touches the body, decompression above all.
//! - A captured delivery can be sent again while its timestamp is fresh, and pyannoteAI repeats what it thinks was not
//!   received: handlers must be idempotent. `jobId` and `status` together name an event.
//! - The path, the query and the `x-retry-*` headers are not signed.
//! - A request refused by its head is answered while its body may still be coming. A server that then closes the connection
//!   at once, as hyper does, can make the sender see a reset in place of the answer; the reference server in `examples/`
//!   lingers for that.
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
//! use tower_pyannote::{PyannoteSignatureLayer, SigningKey, VerifiedBody, WebhookEvent, WebhookSecret};
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
//! // What pyannoteAI signed is accepted.
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
//! // Anything else is not.
//! let response = service.oneshot(deliver(r#"{"jobId":"a1","status":"failed"}"#)?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(())
//! # }
//! ```
//!
//! # Rooms
//!
//! | what | where to begin | feature |
//! |---|---|---|
//! | verify without tower | [`Verifier`] | |
//! | events and their outputs | [`WebhookEvent`], [`Output`] | |
//! | the middleware | [`PyannoteSignatureLayer`] | `layer`, on by default |
//! | handlers, and a registry that runs them | [`WebhookHandler`], [`HandlerRegistry`] | `handler`, on by default |
//! | extractors for axum | [`AckOthers`], [`TypedEvent`] | `axum` |
//! | keep every event | [`Archive`] | `archive` |
//! | commit events before they are acknowledged, and work on them | [`Inbox`], [`InboxWorker`] | `inbox` or `inbox-sqlite`, `inbox-postgres` |
//! | why a signature does not match | [`Doctor`] | `doctor` |
//! | sign, make and deliver events, for tests | [`SignedRequest`], [`EventBuilder`], [`WebhookSender`] | `testing` |
//! | make an inbox's database fail, for tests | [`StoreFaults`] | `testing` with `inbox` |
//! | submit jobs, read them, move media | [`Client`] | `client` |
//! | await a job by webhook or by polling | [`JobWaiter`] | `client` |
//! | fetch the events whose webhook never came | [`Reconciler`], [`Submissions`] | `client` with an inbox |
//! | logs, and a span per delivery | | `tracing` |
//! | counters and histograms | | `metrics` |
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
        reason = "links to what a feature left out"
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
#[cfg(feature = "handler")]
pub mod handler;
#[cfg(feature = "layer")]
mod headers;
#[cfg(feature = "layer")]
pub mod layer;
#[cfg(any(feature = "layer", feature = "handler"))]
mod offload;
mod secret;
mod signature;
#[cfg(feature = "layer")]
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

/// The pieces of a verification: errors, encodings, and a body that is hashed while it arrives.
pub mod verify {
    pub use crate::{
        secret::{SecretError, SecretErrorKind},
        signature::{ParseSignatureError, SignatureEncoding, Signer},
        verifier::{Mismatch, Verification, Verified, VerifyError},
    };
}

/// Compiles and runs what the README shows.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
mod readme {}
