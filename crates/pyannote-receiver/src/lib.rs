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

mod app;
mod cached;
mod commands;
mod connections;
mod database;
#[cfg_attr(not(feature = "fuzzing"), allow(unreachable_pub))]
mod doctor;
mod endpoints;
mod error;
mod handlers;
mod health;
mod index;
mod limits;
mod metrics;
mod pages;
mod program;
mod progress;
mod secrets;
mod serve;
mod server;
mod settings;
mod state;
mod storage;

pub use self::{
    error::ServerError,
    server::{BoundServer, Server},
    storage::open_directory,
};

/// The doctor, for the fuzzer. Not part of the public API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::doctor::{Diagnosis, Doctor, Finding};
}

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
