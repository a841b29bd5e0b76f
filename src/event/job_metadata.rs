use std::{error::Error, fmt, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, value::RawValue};

/// A small JSON of your own that travels with a job, of at most 4,096 bytes.
///
/// A request of the crate `pyannoteai-client` takes it, and the event of the job has it behind an inbox that recorded the
/// submission. pyannoteAI never sees it.
///
/// The JSON may be personal data, so `Debug` shows only its length, and no log shows it.
///
/// # Example
///
/// ```
/// use serde_json::json;
/// use tower_pyannote::event::{JobMetadata, JobMetadataError};
///
/// let metadata = JobMetadata::new(&json!({"customer": 7}))?;
/// assert_eq!(metadata.as_str(), r#"{"customer":7}"#);
/// assert_eq!(format!("{metadata:?}"), "JobMetadata([14 bytes])");
///
/// let refused = JobMetadata::new(&"x".repeat(4_095)).unwrap_err();
/// assert!(matches!(refused, JobMetadataError::TooLong { bytes: 4_097, .. }));
/// # Ok::<(), JobMetadataError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JobMetadata(Arc<str>);

impl JobMetadata {
    /// The maximum length, in bytes of JSON.
    pub const MAX_BYTES: usize = 4_096;

    /// Writes a value as compact JSON.
    ///
    /// # Errors
    ///
    /// Returns [`JobMetadataError::NotJson`] if the value cannot be written as JSON, and [`JobMetadataError::TooLong`] if
    /// the JSON has more than [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(value: &(impl Serialize + ?Sized)) -> Result<Self, JobMetadataError> {
        let json = serde_json::to_string(value).map_err(|_| JobMetadataError::NotJson)?;
        Self::from_json(json)
    }

    /// Takes JSON text as it is.
    ///
    /// # Errors
    ///
    /// Returns [`JobMetadataError::TooLong`] if the text has more than [`MAX_BYTES`](Self::MAX_BYTES), and
    /// [`JobMetadataError::NotJson`] if it is not JSON, or nested more than 127 levels deep.
    pub fn from_json(json: impl Into<Arc<str>>) -> Result<Self, JobMetadataError> {
        let json = json.into();
        if json.len() > Self::MAX_BYTES {
            return Err(JobMetadataError::TooLong { bytes: json.len() });
        }
        match serde_json::from_str::<Value>(&json) {
            Ok(_) => Ok(Self(json)),
            Err(_) => Err(JobMetadataError::NotJson),
        }
    }

    /// Borrows the JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Parses the JSON as a type of your own.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the JSON has another shape.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

/// Writes the JSON itself with `serde_json`, not a string that contains it.
impl Serialize for JobMetadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl fmt::Debug for JobMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobMetadata([{} bytes])", self.0.len())
    }
}

/// Why a value is no [`JobMetadata`]. The error holds nothing of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobMetadataError {
    /// The JSON has more than 4,096 bytes.
    #[non_exhaustive]
    TooLong {
        /// The length of the JSON, in bytes.
        bytes: usize,
    },
    /// The value cannot be written as JSON, or the text is not JSON.
    NotJson,
}

impl fmt::Display for JobMetadataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { bytes } => write!(
                f,
                "metadata has {bytes} bytes of json: give at most 4,096, and keep the rest in a store of your own"
            ),
            Self::NotJson => {
                f.write_str("metadata is not json: give a value that json can express")
            }
        }
    }
}

impl Error for JobMetadataError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_4096_bytes_is_taken_and_one_byte_more_refused() {
        let text = |bytes: usize| format!("\"{}\"", "é".repeat((bytes - 2) / 2));
        assert_eq!(
            JobMetadata::from_json(text(4_096)).unwrap().as_str().len(),
            4_096
        );
        let refused = JobMetadata::from_json(text(4_098)).unwrap_err();
        assert_eq!(refused, JobMetadataError::TooLong { bytes: 4_098 });
    }

    #[test]
    fn text_that_is_no_json_is_refused() {
        for text in [
            "",
            "{",
            "nul",
            "{} {}",
            "[1,]",
            &"[".repeat(4_000),
            "\"\u{0}\"",
        ] {
            let refused = JobMetadata::from_json(text).unwrap_err();
            assert_eq!(refused, JobMetadataError::NotJson, "{text:?}");
        }
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        assert_eq!(
            JobMetadata::from_json(deep).unwrap_err(),
            JobMetadataError::NotJson
        );
        let unnamed = std::collections::HashMap::from([([1, 2], 3)]);
        assert_eq!(
            JobMetadata::new(&unnamed).unwrap_err(),
            JobMetadataError::NotJson
        );
    }

    #[test]
    fn json_is_written_as_json_and_never_shown() {
        let metadata =
            JobMetadata::from_json(r#"{"name": "Ann", "id": 12345678901234567890123}"#).unwrap();
        assert_eq!(serde_json::to_string(&metadata).unwrap(), metadata.as_str());
        assert!(!format!("{metadata:?}").contains("Ann"));
        assert_eq!(
            metadata.parse::<serde_json::Value>().unwrap()["name"],
            "Ann"
        );
    }
}
