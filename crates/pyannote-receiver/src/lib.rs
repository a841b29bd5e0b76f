//! The receiver of pyannoteAI's webhooks, as a program to install and as a library to embed.
//!
//! The receiver verifies each delivery, commits it to an inbox and answers. Then it runs the handlers over the event: the
//! archive keeps its body in a file, a log line says what it holds, and handlers of your own do the rest.
//!
//! # Example: the receiver with a handler of your own
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use pyannote_receiver::Server;
//! use tower_pyannote::WebhookEvent;
//!
//! fn main() -> ExitCode {
//!     // Reads flags and environment as the program `pyannote-receiver` does.
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
mod commands;
mod connections;
#[cfg_attr(not(feature = "fuzzing"), allow(unreachable_pub))]
mod doctor;
mod handlers;
mod metrics;
mod pages;
mod program;
mod secrets;
mod serve;
mod server;
mod settings;
mod storage;

pub use self::{
    server::{BoundServer, Server, ServerError},
    storage::open_directory,
};

/// The doctor, for the fuzzer. This module is no part of the public API.
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::doctor::{Diagnosis, Doctor, Finding};
}

/// Compiles what the README shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
