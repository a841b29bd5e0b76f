use std::{error::Error, fmt};

/// An invalid setting of a [`Forward`](crate::Forward) or a [`Relay`](crate::Relay).
///
/// `Debug` writes the same text as `Display`, so that a `main` that returns the error prints it readably.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A setting has an invalid value.
    #[non_exhaustive]
    InvalidSetting {
        /// The name of the setting, `url` for example.
        setting: &'static str,
        /// What is wrong with the value, and what to do. Never a secret.
        reason: String,
    },
}

impl ConfigError {
    pub(crate) fn new(setting: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::InvalidSetting { setting, reason }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::InvalidSetting { setting, reason } = self;
        write!(f, "the {setting} {reason}")
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {}
