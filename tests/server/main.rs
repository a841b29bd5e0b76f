//! The reference server over real sockets, started as a process, with its environment, signals and errors.
#![cfg(unix)]

mod bodies;
mod deliveries;
#[path = "../support/example.rs"]
mod example;
mod http;
mod logs;
mod pages;
mod process;
mod settings;
mod stopping;
