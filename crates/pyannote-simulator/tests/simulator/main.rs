//! The simulator: its API, its deliveries and their faults before a real receiver, and its command line.
#![cfg(unix)]

mod api;
#[path = "../../examples/simulator/app/mod.rs"]
#[allow(dead_code, reason = "the example uses it all")]
mod app;
mod command;
mod deliveries;
#[path = "../support/example.rs"]
mod example;
mod faults;
mod media;
mod outputs;
mod receiver;
mod simulated;
mod trigger;
