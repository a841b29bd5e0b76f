//! Attacks on the reference server over real sockets. While each attack runs, every good delivery is answered in half the
//! time that pyannoteAI waits, and the server's memory stays within its budget. Afterwards the memory falls back.
//!
//! `cargo test --test hostile -- --nocapture` prints what was measured.
#![cfg(target_os = "linux")]

#[path = "../support/bodies.rs"]
mod bodies;
mod connections;
mod crowd;
#[path = "../support/example.rs"]
mod example;
mod floods;
mod heads;
#[path = "../support/http.rs"]
mod http;
mod json;
mod pages;
#[path = "../support/process.rs"]
mod process;
mod target;
