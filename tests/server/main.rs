//! The reference server over real sockets, started as a process, with its environment, signals and errors.
#![cfg(unix)]

mod bodies;
mod deliveries;
mod doctor;
#[path = "../support/example.rs"]
mod example;
mod faults;
mod http;
mod inbox;
mod logs;
mod pages;
#[path = "../support/postgres.rs"]
mod postgres;
mod process;
mod settings;
mod stopping;
