use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A setting that cannot work. Setters and constructors return it, so that it never shows at request time.
///
/// `Debug` prints the message of `Display`, so that a `main` that returns this error prints a sentence.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The body limit is 0.
    ZeroBodyLimit,
    /// The byte budget is 0, or 4 GiB or more.
    #[non_exhaustive]
    ByteBudget {
        /// The requested size, in bytes.
        size: usize,
    },
    /// The body limit is over the byte budget, so that a body within the limit could never be received.
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
        /// The duplicate name.
        name: Arc<str>,
    },
    /// A setting was given for a handler that is not registered.
    #[non_exhaustive]
    UnknownHandler {
        /// The unknown name.
        name: Arc<str>,
    },
    /// A timeout is zero, so that nothing could ever succeed.
    #[non_exhaustive]
    ZeroTimeout {
        /// The name of the setting in this crate.
        setting: &'static str,
    },
    /// A test event is over 24 h of audio, the most that pyannoteAI accepts.
    #[non_exhaustive]
    EventTooLong {
        /// The requested length.
        duration: Duration,
    },
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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

/// Writes the chain of sources of an error, each after a colon.
#[cfg(feature = "handler")]
pub(crate) fn write_sources(error: &dyn Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut source = error.source();
    while let Some(error) = source {
        write!(f, ": {error}")?;
        source = error.source();
    }
    Ok(())
}
