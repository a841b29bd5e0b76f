use std::fmt;

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads a JSON string, with replacement characters for what is not valid Unicode.
///
/// `"\ud800"`, half of a pair, is valid JSON, but no string of Rust's.
pub(in crate::event) fn string(json: &str) -> Option<String> {
    let whole = serde_json::from_str(json).ok();
    whole.or_else(|| {
        serde_json::Deserializer::from_str(json)
            .deserialize_bytes(Lossy)
            .ok()
    })
}

struct Lossy;

impl Visitor<'_> for Lossy {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<String, E> {
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }
}
