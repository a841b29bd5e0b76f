use std::{error::Error, fmt};

/// Why words were not assigned to speakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AssignError {
    /// Many words overlap one another where many turns begin or end.
    TooManyOverlaps,
}

impl fmt::Display for AssignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyOverlaps => {
                "too many words overlap one another: check the times of the words"
            }
        })
    }
}

impl Error for AssignError {}

/// Why [`read_words`](super::read_words) returned no transcript.
///
/// The error holds nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReadWordsError {
    /// The text is not JSON.
    #[non_exhaustive]
    Syntax {
        /// The line of the problem, from 1.
        line: usize,
        /// The column of the problem, in bytes.
        column: usize,
    },
    /// A value has another type than its key has in the known formats, or a key is there twice.
    #[non_exhaustive]
    Shape {
        /// The line of the problem, from 1.
        line: usize,
        /// The column of the problem, in bytes.
        column: usize,
    },
    /// The JSON has none of the keys by which the known formats are recognized.
    UnknownFormat,
}

impl From<serde_json::Error> for ReadWordsError {
    fn from(error: serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        if error.is_data() {
            Self::Shape { line, column }
        } else {
            Self::Syntax { line, column }
        }
    }
}

impl fmt::Display for ReadWordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax { line, column } => {
                write!(f, "transcript is not json at line {line}, column {column}")
            }
            Self::Shape { line, column } => write!(
                f,
                "transcript has an unexpected value at line {line}, column {column}"
            ),
            Self::UnknownFormat => f.write_str(
                "transcript has no key `transcription`, `segments`, `words` or `word_segments`",
            ),
        }
    }
}

impl Error for ReadWordsError {}
