use std::{error::Error, fmt};

use object_store::path::Path;

/// Why a voiceprint could not be kept or read. The error holds no voiceprint.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpeakersError {
    /// The API would refuse the label.
    #[non_exhaustive]
    InvalidLabel {
        /// What is wrong with the label.
        reason: &'static str,
    },
    /// The API would refuse the voiceprint.
    #[non_exhaustive]
    InvalidVoiceprint {
        /// What is wrong with the voiceprint.
        reason: &'static str,
    },
    /// No voiceprint is kept under the label.
    #[non_exhaustive]
    UnknownLabel {
        /// The label.
        label: String,
    },
    /// There are more than 50 voiceprints, the most that an identification takes.
    TooMany,
    /// An object is not a voiceprint, or not that of its name.
    #[non_exhaustive]
    Damaged {
        /// The path of the object.
        location: String,
    },
    /// The store failed.
    #[non_exhaustive]
    Store {
        /// The path of the object, or the prefix for a listing.
        location: String,
        /// The error of the store.
        source: object_store::Error,
    },
}

impl SpeakersError {
    pub(super) fn store(location: &Path, source: object_store::Error) -> Self {
        Self::Store {
            location: location.to_string(),
            source,
        }
    }

    pub(super) fn damaged(location: &Path) -> Self {
        Self::Damaged {
            location: location.to_string(),
        }
    }
}

impl fmt::Display for SpeakersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidLabel { reason } => write!(f, "label of a speaker {reason}"),
            Self::InvalidVoiceprint { reason } => write!(f, "voiceprint of a speaker {reason}"),
            Self::UnknownLabel { label } => write!(f, "no voiceprint is kept for {label:?}"),
            Self::TooMany => {
                f.write_str("an identification takes at most 50 voiceprints: choose fewer speakers")
            }
            Self::Damaged { location } => write!(
                f,
                "{location} is not the voiceprint of a speaker: remove it and keep the voiceprint again"
            ),
            Self::Store { location, .. } => write!(f, "cannot read or write {location}"),
        }
    }
}

impl Error for SpeakersError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store { source, .. } => Some(source),
            _ => None,
        }
    }
}
