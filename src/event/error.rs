use std::{error::Error, fmt};

/// Why a body is no event.
///
/// The error holds nothing of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventError {
    /// The body is not UTF-8.
    NotUtf8,
    /// The body is not JSON.
    Syntax,
    /// The body is JSON, but not an object.
    NotAnObject,
    /// `jobId` is absent, null, empty or not a string.
    MissingJobId,
}

impl EventError {
    /// Returns the error as one word, for a metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not_utf8",
            Self::Syntax => "syntax",
            Self::NotAnObject => "not_an_object",
            Self::MissingJobId => "missing_job_id",
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "body is not utf-8: check that the sender is pyannoteAI",
            Self::Syntax => "body is not json: check that the sender is pyannoteAI",
            Self::NotAnObject => "body is not a json object: check that the sender is pyannoteAI",
            Self::MissingJobId => "body names no job: `jobId` must be a string that is not empty",
        })
    }
}

impl Error for EventError {}
