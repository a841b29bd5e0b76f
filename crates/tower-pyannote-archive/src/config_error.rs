use std::{error::Error, fmt};

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
