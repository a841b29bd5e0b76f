//! What the inbox promises, against real files of SQLite and a real PostgreSQL.
#![cfg(all(
    feature = "inbox-sqlite",
    feature = "inbox-postgres",
    feature = "layer"
))]

mod commit;
mod faults;
mod files;
mod open;
mod operate;
mod place;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/mod.rs"]
mod support;
mod work;
