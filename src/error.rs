use std::fmt;

/// A setting that can't work, found when it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The body limit is 0.
    ZeroBodyLimit,
    /// The byte budget is 0 or over 4 GiB.
    ByteBudget {
        /// The size asked for, in bytes.
        size: usize,
    },
    /// The body limit is over the byte budget, so that a body within the limit could never be taken.
    BodyLimitOverBudget {
        /// The body limit, in bytes.
        limit: usize,
        /// The byte budget, in bytes.
        budget: usize,
    },
    /// A time that must be longer than zero is zero.
    ZeroDuration {
        /// The setting, as its setter is called.
        setting: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroBodyLimit => {
                f.write_str("the body limit is 0; a real meeting takes megabytes")
            }
            Self::ByteBudget { size } => write!(
                f,
                "the byte budget is {size}; set it to at least 1 and less than 4 GiB"
            ),
            Self::BodyLimitOverBudget { limit, budget } => write!(
                f,
                "the body limit of {limit} bytes is over the byte budget of {budget}; raise the byte budget first"
            ),
            Self::ZeroDuration { setting } => {
                write!(f, "{setting} is zero; set it to a longer time")
            }
        }
    }
}

impl std::error::Error for ConfigError {}
