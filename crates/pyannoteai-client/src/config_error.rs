use std::{error::Error, fmt};

/// A setting of a client that cannot work, found when the client is built.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting cannot work.
    #[non_exhaustive]
    InvalidSetting {
        /// The name of the setting.
        setting: &'static str,
        /// What is wrong with it, and what to do; never the API key.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidSetting { setting, reason } => {
                write!(f, "the client's {setting} {reason}")
            }
        }
    }
}

impl Error for ConfigError {}
