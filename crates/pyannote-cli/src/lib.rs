//! What the programs `pyannote-receiver` and `pyannote-simulator` share: errors in one line, logging, and stop signals.
//!
//! Its API changes with the programs, without notice.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod failure;
pub mod logging;
mod signals;

pub use self::{
    failure::{Failure, plain, read_env_file},
    signals::Signals,
};
