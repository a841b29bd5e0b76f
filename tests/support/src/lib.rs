//! Code that the tests of several members share.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    missing_debug_implementations,
    reason = "only tests call this crate"
)]

pub mod bodies;
pub mod delivery;
pub mod http;
pub mod language;
pub mod nats;
pub mod observe;
#[cfg(unix)]
pub mod pgbouncer;
#[cfg(unix)]
pub mod postgres;
pub mod process;
pub mod program;
#[cfg(unix)]
pub mod s3;
pub mod typing;
