//! What the inbox promises, against real files of SQLite and a real PostgreSQL.
#![cfg(all(feature = "sqlite", feature = "postgres", feature = "testing"))]

mod commit;
mod faults;
mod files;
mod open;
mod operate;
mod place;
#[cfg(all(unix, feature = "reconcile"))]
mod reconcile;
mod work;
