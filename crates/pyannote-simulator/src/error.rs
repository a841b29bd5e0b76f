use std::{error::Error, fmt, io, path::PathBuf};

/// A simulator that cannot start, or text that is not [`Odds`](crate::Odds).
#[non_exhaustive]
pub enum SimulatorError {
    /// The time scale is not a number from 0.001 to 1,000,000.
    TimeScale,
    /// The audio is longer than 24 h.
    Duration,
    /// The rate limit is 0.
    RateLimit,
    /// The timeout of webhooks is 0.
    AnswerTimeout,
    /// The text is neither a count nor a percentage from 0 to 100.
    Odds,
    /// The directory of bodies cannot be used.
    #[non_exhaustive]
    Bodies {
        /// The directory, or the file in it.
        path: PathBuf,
        /// Why the directory or the file cannot be used.
        error: io::Error,
    },
    /// The directory for uploads cannot be created.
    #[non_exhaustive]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// The error of the file system.
        error: io::Error,
    },
    /// The address cannot be listened on.
    #[non_exhaustive]
    Listen {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// The error of the system.
        error: io::Error,
    },
    /// The HTTP client that sends webhooks cannot be built.
    #[non_exhaustive]
    Client {
        /// The error of the client.
        error: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Display for SimulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimeScale => f.write_str("the time scale must be from 0.001 to 1000000"),
            Self::Duration => f.write_str("the duration must be at most 86400 s, 24 h"),
            Self::RateLimit => f.write_str("the rate limit must be at least 1"),
            Self::AnswerTimeout => f.write_str("the answer timeout must be above 0"),
            Self::Odds => f.write_str(
                "give a count, such as 3 for the first three, or a percentage, such as 10%",
            ),
            Self::Bodies { path, error } => {
                write!(f, "cannot use the bodies in {}: {error}", path.display())
            }
            Self::DataDir { path, error } => {
                let path = path.display();
                write!(f, "cannot create the data directory {path}: {error}")
            }
            Self::Listen { host, port, error } => {
                write!(f, "cannot listen on host {host}, port {port}: {error}")
            }
            Self::Client { error } => write!(f, "cannot set up the HTTP client: {error}"),
        }
    }
}

/// Writes what [`Display`](fmt::Display) writes, so that `main` can return the error.
impl fmt::Debug for SimulatorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for SimulatorError {}
