//! A look-alike of pyannoteAI for development and tests.
//!
//! A [`Simulator`] serves the API over HTTP, runs the jobs that are submitted to it, and delivers signed webhooks with
//! retries. [`Faults`] make it lose, repeat, delay, reorder or damage deliveries, fail jobs, and disturb the API. Outputs
//! are generated: no audio is read, and no speech is recognized.
//!
//! # Example
//!
//! ```
//! use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
//! use tower_pyannote::WebhookSecret;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Time is 60 times faster, and the first attempt of the first delivery is lost.
//! let config = Config::new(WebhookSecret::new("whs_example")?)
//!     .with_time_scale(60.0)
//!     .with_faults(Faults::default().with(Fault::LostFirst, Odds::First(1)));
//! let simulator = Simulator::start(config).await?;
//!
//! // Point a client at this URL in place of `https://api.pyannote.ai`.
//! assert_eq!(simulator.url(), format!("http://{}", simulator.address()));
//! assert_eq!(simulator.jobs().as_array().map(Vec::len), Some(0));
//!
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! The [README](https://github.com/tower-pyannote/tower-pyannote/tree/main/crates/pyannote-simulator) has an example that
//! submits a job and receives its webhook.
//!
//! # Features
//!
//! | feature | default | what it adds |
//! |---|---|---|
//! | `cli` | yes | the program `pyannote-simulator`; tests that use the library can turn it off |
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod answer;
mod api;
mod bodies;
#[cfg(feature = "cli")]
pub mod cli;
mod clock;
mod config;
mod delivery;
mod error;
mod faults;
mod fields;
mod guard;
mod http;
mod jobs;
mod limit;
mod media;
mod output;
mod pages;
mod run;
mod simulator;
mod state;
mod submission;

pub use self::{
    config::Config,
    error::SimulatorError,
    faults::{Fault, Faults, Odds},
    limit::RateLimitStyle,
    simulator::Simulator,
};

/// Compiles and runs the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
