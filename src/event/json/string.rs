use std::{borrow::Cow, fmt};

use serde::{
    Deserializer,
    de::{Error, Visitor},
};

/// Reads a value as a string, if it is one and valid Unicode.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

/// Reads a value as a string, if it is one, with replacement characters for what is not valid Unicode.
///
/// `"\ud800"`, half a surrogate pair, is valid JSON but not valid Unicode.
pub(crate) fn string_lossy(json: &str) -> Option<Cow<'_, str>> {
    string(json).or_else(|| {
        let mut deserializer = serde_json::Deserializer::from_str(json);
        deserializer.deserialize_bytes(Lossy).ok().map(Cow::Owned)
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
