//! `Relay` against a NATS server with JetStream on the disk.
#![cfg(unix)]

#[path = "../guide/mod.rs"]
mod guide;
mod kills;
mod late;
mod messages;
mod server;
mod settings;
