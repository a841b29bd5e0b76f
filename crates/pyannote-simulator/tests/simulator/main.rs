//! The simulator: its API, its webhooks and faults, as a receiver sees them, and its command line.
#![cfg(unix)]

mod api;
mod client;
mod command;
mod deliveries;
mod faults;
mod media;
mod outputs;
mod receiver;
mod simulated;
mod trigger;
