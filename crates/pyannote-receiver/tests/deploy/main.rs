//! The files in `deploy/`, each with the program that reads it. Where the program is missing, the test is skipped, except
//! in CI.
#![cfg(unix)]

mod caddy;
mod guide;
mod image;
mod monitoring;
mod nginx;
mod program;
mod proxied;
mod systemd;
