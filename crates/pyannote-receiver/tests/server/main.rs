//! The receiver over real sockets, started as a process, with its environment, signals and errors.
#![cfg(unix)]

mod archive;
mod deliver;
mod deliveries;
mod doctor;
mod faults;
mod health;
mod inbox;
mod logs;
mod pages;
mod reconcile;
mod settings;
mod stopping;
