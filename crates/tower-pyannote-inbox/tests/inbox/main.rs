//! The inbox over files of SQLite and a PostgreSQL server.
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "testing"))]

mod commit;
mod damaged;
mod dialect;
mod faults;
mod files;
mod listing;
#[cfg(target_os = "linux")]
mod memory;
mod open;
mod operate;
mod order;
mod place;
mod pooler;
mod queue;
#[cfg(all(unix, feature = "reconcile"))]
mod reconcile;
mod work;
