//! Attacks on the receiver over real sockets. While each attack runs, every good delivery is answered in half the
//! time that pyannoteAI waits, and the server's memory stays within its budget. Afterwards the memory falls back.
//!
//! `cargo test -p pyannote-receiver --test hostile -- --nocapture` prints what was measured.
#![cfg(target_os = "linux")]

mod connections;
mod crowd;
mod floods;
mod heads;
mod json;
mod pages;
mod target;
