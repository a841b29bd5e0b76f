//! The commands of the program, besides `serve`.

pub(crate) mod check;
pub(crate) mod config;
pub(crate) mod deliver;
pub(crate) mod doctor;
mod file;
pub(crate) mod generate;
pub(crate) mod health;
pub(crate) mod http_client;
pub(crate) mod inbox;

use pyannote_cli::Failure;
use serde::Serialize;

/// Returns a value as indented JSON, for `--json`.
fn json(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Failure::run(format!("cannot write JSON: {error}")))?;
    Ok(json + "\n")
}

/// Returns a value as JSON in one line.
fn line_of(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string(value);
    let json = json.map_err(|error| Failure::run(format!("cannot write JSON: {error}")))?;
    Ok(json + "\n")
}
