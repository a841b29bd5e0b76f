//! What several tests of the workspace share.
#![allow(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    missing_debug_implementations,
    reason = "no library is built on these"
)]

pub mod bodies;
pub mod delivery;
pub mod http;
pub mod observe;
pub mod postgres;
pub mod process;
pub mod program;
