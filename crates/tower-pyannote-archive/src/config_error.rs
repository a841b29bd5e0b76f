use std::{error::Error, fmt};

use object_store::path::Path;

/// An invalid setting of [`Archive`](crate::Archive) or [`Speakers`](crate::Speakers).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The prefix is not a valid path in an object store.
    #[non_exhaustive]
    InvalidPrefix {
        /// The prefix.
        prefix: String,
        /// What is wrong with it.
        reason: String,
    },
}

pub(crate) fn parse_prefix(prefix: &str) -> Result<Path, ConfigError> {
    Path::parse(prefix).map_err(|error| ConfigError::InvalidPrefix {
        prefix: prefix.to_owned(),
        reason: error.to_string(),
    })
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidPrefix { prefix, reason } => {
                write!(f, "archive prefix {prefix:?} cannot be used: {reason}")
            }
        }
    }
}

impl Error for ConfigError {}
