use std::{error::Error, fmt, io};

use tower_pyannote_inbox::InboxError;

/// An error that keeps a receiver from starting, or that ended it.
///
/// `Debug` writes the text of `Display` and of the sources, so that a `main` that returns the error prints it readably.
#[non_exhaustive]
pub enum ServerError {
    /// The host and port cannot be bound.
    Listen(io::Error),
    /// The host and port of the private listener cannot be bound.
    ListenPrivate(io::Error),
    /// The metrics recorder cannot be installed, because the process already has one.
    Metrics(Box<dyn Error + Send + Sync>),
    /// The page cannot be served at the address.
    #[cfg(feature = "page")]
    Page(crate::PageError),
    /// The inbox's worker ended with an error.
    Worker(InboxError),
    /// The inbox's worker panicked with this message.
    WorkerPanicked(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(_) => f.write_str("cannot listen on the address"),
            Self::ListenPrivate(_) => f.write_str("cannot listen on the private address"),
            Self::Metrics(_) => f.write_str("cannot install the metrics recorder"),
            #[cfg(feature = "page")]
            Self::Page(_) => f.write_str("cannot serve the page"),
            Self::Worker(_) => f.write_str("the inbox's worker failed"),
            Self::WorkerPanicked(message) => write!(f, "the inbox's worker panicked: {message}"),
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&in_full(self))
    }
}

impl Error for ServerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Listen(error) | Self::ListenPrivate(error) => Some(error),
            Self::Metrics(error) => Some(&**error),
            #[cfg(feature = "page")]
            Self::Page(error) => Some(error),
            Self::Worker(error) => Some(error),
            Self::WorkerPanicked(_) => None,
        }
    }
}

/// Returns an error and its sources in one line. Leaves out a source that the text names already, as object_store does.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        source = error.source();
    }
    text
}
