//! `Forward` against endpoints in this process.

mod addresses;
mod answers;
mod endpoint;
mod requests;
mod settings;
