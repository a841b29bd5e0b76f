//! Code that the programs `pyannote-receiver` and `pyannote-simulator` share.
//!
//! [`parse`] reads `.env` and the command line, [`Log`] installs the logger, [`Signals`] waits for a request to stop, [`print()`] writes to
//! stdout, and [`Failure`] is an error that a program prints in one line before it exits.
//!
//! The API changes with the two programs, without notice.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod arguments;
mod failure;
mod log;
mod signals;
mod stdout;

pub use self::{
    arguments::{flag_or_variable, matches, parse, read_env_file},
    failure::{Failure, plain},
    log::{BoxedLayer, Log, LogFile, LogFormat, LogGuard, log_to_stderr},
    signals::{Hangup, Signals},
    stdout::print,
};
