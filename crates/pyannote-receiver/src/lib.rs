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
mod app;
mod bound;
mod cached;
mod clients;
mod commands;
mod connections;
mod database;
mod doctor;
mod endpoints;
mod error;
mod fetch;
mod forward;
mod handlers;
mod heads;
mod health;
mod index;
mod limits;
mod metrics;
#[cfg(not(feature = "otel"))]
mod no_otel;
#[cfg(not(feature = "page"))]
mod no_page;
#[cfg(feature = "otel")]
mod otel;
#[cfg(feature = "page")]
mod page;
mod pages;
mod program;
mod progress;
mod reconcile;
mod reload;
mod rotation;
mod secrets;
mod serve;
mod server;
mod settings;
mod state;
mod store;

#[cfg(not(feature = "otel"))]
use self::no_otel as otel;
#[cfg(not(feature = "page"))]
use self::no_page as page;
#[cfg(feature = "page")]
pub use self::page::{PageError, PageSettings, PageToken};
pub use self::{
    bound::BoundServer,
    error::ServerError,
    program::main,
    rotation::Rotation,
    server::Server,
    store::{Store, StoreError, open_directory, open_store},
};

/// Compiles the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
