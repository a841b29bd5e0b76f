use std::{error::Error, fmt, io};

/// The reason why [`open_store`](crate::open_store) cannot open a store.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// The URL cannot be used.
    #[non_exhaustive]
    InvalidUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// This build has no support for the store.
    #[non_exhaustive]
    MissingFeature {
        /// The feature of the crate that has it.
        feature: &'static str,
    },
    /// The directory cannot be created or written to.
    Directory(io::Error),
    /// The store's settings are incomplete, or the store cannot be reached, or refuses to create and delete an object.
    #[non_exhaustive]
    Unusable {
        /// What object_store says.
        source: object_store::Error,
        /// The environment variables that may be missing or wrong.
        settings: &'static str,
    },
    /// The store does not answer.
    #[non_exhaustive]
    TimedOut {
        /// The timeout, in seconds.
        seconds: u64,
        /// The environment variables that may be missing or wrong.
        settings: &'static str,
    },
    /// The store overwrites an object that it was asked to create.
    NoConditionalCreate,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl { reason } => {
                write!(
                    f,
                    "{reason}: use file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX"
                )
            }
            Self::MissingFeature { feature } => write!(
                f,
                "this build does not support the store: install pyannote-receiver with its feature {feature}"
            ),
            Self::Directory(_) => f.write_str("cannot store in the directory"),
            Self::Unusable { settings, .. } => {
                write!(f, "cannot store there; check {settings}")
            }
            Self::TimedOut { seconds, settings } => write!(
                f,
                "the store did not answer within {seconds} s; check {settings}"
            ),
            Self::NoConditionalCreate => f.write_str(
                "the store ignores `If-None-Match: *`, so duplicates that arrive at once would overwrite each other: use a store \
                 that has it, or accept that with AWS_CONDITIONAL_PUT=disabled",
            ),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Directory(error) => Some(error),
            Self::Unusable { source, .. } => Some(source),
            _ => None,
        }
    }
}
