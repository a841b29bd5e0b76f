use std::{error::Error, fmt};

/// A setting that cannot work, refused when it is set.
///
/// `Debug` shows the same text as `Display`, as `main` prints it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting of an [`InboxBuilder`](crate::InboxBuilder).
    #[non_exhaustive]
    Inbox {
        /// The setting, without its `with_`.
        setting: &'static str,
        /// The requirement that the value violates.
        demand: &'static str,
    },
    /// A setting of a worker.
    #[non_exhaustive]
    Worker {
        /// The setting, without its `with_`.
        setting: &'static str,
        /// The requirement that the value violates.
        demand: &'static str,
    },
    /// A setting of a reconciler.
    #[non_exhaustive]
    Reconciler {
        /// The setting, without its `with_`.
        setting: &'static str,
        /// The requirement that the value violates.
        demand: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inbox { setting, demand } | Self::Worker { setting, demand } => {
                write!(f, "{setting} has to be {demand}")
            }
            Self::Reconciler { setting, demand } => {
                write!(f, "the reconciler's {setting} has to be {demand}")
            }
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}
