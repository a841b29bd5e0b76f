//! The commands of the program, besides `serve`.

pub(crate) mod deliver;
pub(crate) mod doctor;
mod file;
pub(crate) mod health;
mod http_client;
pub(crate) mod inbox;
pub(crate) mod reconcile;
