//! Attacks on the receiver over real sockets. During each attack, every good delivery gets its response in half the
//! time that pyannoteAI waits, and the server's memory stays within its budget. Afterwards the memory is released.
//!
//! `cargo test -p pyannote-receiver --test hostile -- --nocapture` prints the measurements.
#![cfg(target_os = "linux")]

mod connections;
mod crowd;
mod floods;
mod heads;
mod json;
mod pages;
mod target;
