use std::{error::Error, fmt};

/// A setting of a worker or a reconciler that cannot work, found when it is set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting of a worker.
    #[non_exhaustive]
    Worker {
        /// The setting, as it is called in this crate.
        setting: &'static str,
        /// What it has to be.
        demand: &'static str,
    },
    /// A setting of a reconciler.
    #[non_exhaustive]
    Reconciler {
        /// The setting, as it is called in this crate.
        setting: &'static str,
        /// What it has to be.
        demand: &'static str,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker { setting, demand } => write!(f, "{setting} has to be {demand}"),
            Self::Reconciler { setting, demand } => {
                write!(f, "the reconciler's {setting} has to be {demand}")
            }
        }
    }
}

impl Error for ConfigError {}
