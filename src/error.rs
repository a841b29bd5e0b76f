use std::{error::Error, fmt, sync::Arc};

/// A setting that cannot work, found when something is built and never later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    // Handlers and the archive.
    /// A handler was registered under an empty or blank name.
    EmptyHandlerName,
    /// Two handlers were registered under one name.
    #[non_exhaustive]
    DuplicateHandler {
        /// The name that was already taken.
        name: Arc<str>,
    },
    /// A setting was given for a handler that is not registered.
    #[non_exhaustive]
    UnknownHandler {
        /// The name that no handler has.
        name: Arc<str>,
    },
    /// A time limit of zero, under which nothing could ever succeed.
    #[non_exhaustive]
    ZeroTimeout {
        /// The setting, as it is called in this crate.
        setting: &'static str,
    },
    /// A prefix under which no object can be stored.
    #[non_exhaustive]
    InvalidArchivePrefix {
        /// The prefix as it was given.
        prefix: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyHandlerName => f.write_str("handler name is empty or blank: give it a name"),
            Self::DuplicateHandler { name } => {
                write!(f, "handler name {name:?} is taken: give each its own")
            }
            Self::UnknownHandler { name } => {
                write!(
                    f,
                    "no handler is named {name:?}: register it before its settings"
                )
            }
            Self::ZeroTimeout { setting } => {
                write!(f, "{setting} is zero: give a time above zero")
            }
            Self::InvalidArchivePrefix { prefix, reason } => {
                write!(f, "archive prefix {prefix:?} cannot be used: {reason}")
            }
        }
    }
}

impl Error for ConfigError {}
