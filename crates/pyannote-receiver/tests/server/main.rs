//! The receiver over real sockets, started as a process, with its environment, signals and errors.
#![cfg(unix)]

mod archive;
mod check;
mod clients;
mod deliver;
mod deliveries;
mod doctor;
mod faults;
mod file;
mod forward;
mod heads;
mod health;
mod inbox;
mod listeners;
mod logs;
mod pages;
mod reconcile;
mod relay;
mod roles;
mod rotation;
mod settings;
mod stopping;
mod transfer;
