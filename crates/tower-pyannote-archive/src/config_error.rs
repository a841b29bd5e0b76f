use std::{error::Error, fmt};

use object_store::path::Path;

/// A setting of an archive that cannot work.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// No object can be stored under the prefix.
    #[non_exhaustive]
    InvalidPrefix {
        /// The prefix as it was given.
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
