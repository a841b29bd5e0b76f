//! The reference server over real sockets, started as a process, with its environment, signals and errors.
#![cfg(unix)]

#[path = "../support/bodies.rs"]
mod bodies;
mod deliveries;
mod doctor;
#[path = "../support/example.rs"]
mod example;
mod faults;
#[path = "../support/http.rs"]
mod http;
mod inbox;
mod logs;
mod pages;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/process.rs"]
mod process;
mod settings;
mod stopping;
