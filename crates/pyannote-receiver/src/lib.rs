//! A receiver of pyannoteAI's webhooks, as a program to install and as a library to embed.
//!
//! The receiver verifies each delivery, commits it to an inbox and responds. Then it runs handlers over the event: `archive`
//! writes the body to a file, `log` logs a summary, and your own handlers do the rest. See [`Server`] to embed it in a
//! program that has its own `main`.
//!
//! # Example: the program with a handler of your own
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use pyannote_receiver::Server;
//! use tower_pyannote::WebhookEvent;
//!
//! fn main() -> ExitCode {
//!     // Reads the same arguments and environment as the program `pyannote-receiver`.
//!     Server::main(|handlers| {
//!         handlers.on_failed("alert", async |event: WebhookEvent| {
//!             eprintln!("job {} failed", event.job_id());
//!             Ok(())
//!         })
//!     })
//! }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

#[cfg(feature = "page")]
mod api;
#[cfg(feature = "server")]
mod app;
#[cfg(feature = "server")]
mod bound;
#[cfg(feature = "server")]
mod cached;
#[cfg(feature = "server")]
mod clients;
#[cfg(feature = "server")]
mod commands;
#[cfg(feature = "server")]
mod connections;
#[cfg(feature = "server")]
mod database;
#[cfg(any(feature = "server", feature = "fuzzing"))]
#[cfg_attr(not(feature = "fuzzing"), allow(unreachable_pub))]
mod doctor;
#[cfg(feature = "server")]
mod endpoints;
#[cfg(feature = "server")]
mod error;
#[cfg(feature = "server")]
mod fetch;
#[cfg(feature = "server")]
mod forward;
#[cfg(feature = "server")]
mod handlers;
#[cfg(feature = "server")]
mod heads;
#[cfg(feature = "server")]
mod health;
#[cfg(feature = "server")]
mod index;
#[cfg(feature = "server")]
mod limits;
#[cfg(feature = "server")]
mod metrics;
#[cfg(all(feature = "server", not(feature = "page")))]
mod no_page;
#[cfg(feature = "page")]
mod page;
#[cfg(feature = "server")]
mod pages;
#[cfg(feature = "server")]
mod program;
#[cfg(feature = "server")]
mod progress;
#[cfg(feature = "server")]
mod reconcile;
#[cfg(feature = "server")]
mod reload;
#[cfg(feature = "server")]
mod rotation;
#[cfg(feature = "server")]
mod secrets;
#[cfg(feature = "server")]
mod serve;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
mod settings;
#[cfg(feature = "server")]
mod state;
#[cfg(feature = "server")]
mod store;

#[cfg(all(feature = "server", not(feature = "page")))]
use self::no_page as page;
#[cfg(feature = "page")]
pub use self::page::{PageError, PageSettings, PageToken};
#[cfg(feature = "server")]
pub use self::{
    bound::BoundServer,
    error::ServerError,
    program::main,
    rotation::Rotation,
    server::Server,
    store::{Store, StoreError, open_directory, open_store},
};

/// The doctor, for the fuzzer. Not part of the public API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::doctor::{Diagnosis, Doctor, Finding};
}

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../README.md")]
mod readme {}
