use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A setting that cannot work, found when something is built and never later.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The body limit is 0.
    ZeroBodyLimit,
    /// The byte budget is 0, or too large to count: 4 GiB or more.
    #[non_exhaustive]
    ByteBudget {
        /// The size asked for, in bytes.
        size: usize,
    },
    /// The body limit is over the byte budget, so that a body within the limit could never be taken.
    #[non_exhaustive]
    BodyLimitOverBudget {
        /// The body limit, in bytes.
        limit: usize,
        /// The byte budget, in bytes.
        budget: usize,
    },
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
    /// An event was to be made of more audio than pyannoteAI takes.
    #[non_exhaustive]
    EventTooLong {
        /// The length asked for.
        duration: Duration,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroBodyLimit => f.write_str("body limit is 0: a real meeting takes megabytes"),
            Self::ByteBudget { size } => {
                write!(
                    f,
                    "byte budget is {size}: give at least 1 and less than 4 GiB"
                )
            }
            Self::BodyLimitOverBudget { limit, budget } => write!(
                f,
                "body limit of {limit} bytes is over the byte budget of {budget}: raise the byte budget first"
            ),
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
            Self::EventTooLong { duration } => {
                let seconds = duration.as_secs();
                write!(
                    f,
                    "event of {seconds} s of audio: give at most 24 h, 86400 s"
                )
            }
        }
    }
}

impl Error for ConfigError {}

/// Writes what caused an error, and what caused that, each after a colon.
#[cfg(feature = "handler")]
pub(crate) fn write_sources(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}
