//! What several tests of the workspace share.
#![allow(missing_debug_implementations, reason = "no test prints these")]

pub mod bodies;
pub mod delivery;
pub mod http;
pub mod observe;
pub mod postgres;
pub mod process;
pub mod program;
