use std::{error::Error, fmt, sync::Arc, time::Duration};

use super::error::HandlerError;
use crate::error::write_sources;

/// How each handler of an event ended, in order.
#[derive(Debug)]
#[must_use]
pub struct HandlerReport {
    runs: Vec<HandlerRun>,
}

impl HandlerReport {
    pub(super) fn new(runs: Vec<HandlerRun>) -> Self {
        Self { runs }
    }

    /// Returns the runs, in order.
    #[must_use]
    pub fn runs(&self) -> &[HandlerRun] {
        &self.runs
    }

    /// Returns the runs that failed, permanent failures included.
    pub fn failures(&self) -> impl Iterator<Item = &HandlerRun> {
        self.runs.iter().filter(|run| !run.outcome.is_success())
    }

    /// Returns whether every handler succeeded; true if none ran.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Returns whether a handler failed with a retryable error.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.runs.iter().any(|run| run.outcome.is_retryable())
    }
}

/// How one handler ended for one event.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerRun {
    /// The name of the handler.
    pub name: Arc<str>,
    /// How the handler ended.
    pub outcome: HandlerOutcome,
    /// How long the handler took, by a monotonic clock.
    pub elapsed: Duration,
}

/// How a handler ended.
///
/// `{:#}` also shows the sources of an error, each after a colon.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandlerOutcome {
    /// The handler returned `Ok`.
    Succeeded,
    /// The handler returned an error.
    #[non_exhaustive]
    Failed {
        /// The error, which tells whether it is permanent.
        error: HandlerError,
    },
    /// The handler was stopped at its timeout. Retryable.
    #[non_exhaustive]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The handler panicked. Retryable.
    #[non_exhaustive]
    Panicked {
        /// The message of the panic; `no message` if the panic has none.
        message: String,
    },
}

impl HandlerOutcome {
    /// Returns whether the handler returned `Ok`.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// Returns whether a retry may succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Succeeded => false,
            Self::Failed { error } => !error.is_permanent(),
            Self::TimedOut { .. } | Self::Panicked { .. } => true,
        }
    }

    /// Returns the pause that the handler [asked for](HandlerError::retry_after) before the retry, if it asked for one.
    #[must_use]
    pub fn retry_delay(&self) -> Option<Duration> {
        match self {
            Self::Failed { error } => error.retry_delay(),
            Self::Succeeded | Self::TimedOut { .. } | Self::Panicked { .. } => None,
        }
    }

    /// Returns the name of the outcome in metrics: `success`, `error`, `permanent`, `timeout` or `panic`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Succeeded => "success",
            Self::Failed { error } if error.is_permanent() => "permanent",
            Self::Failed { .. } => "error",
            Self::TimedOut { .. } => "timeout",
            Self::Panicked { .. } => "panic",
        }
    }
}

impl fmt::Display for HandlerOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("succeeded"),
            Self::Failed { error } if f.alternate() => {
                write!(f, "{error}")?;
                write_sources(error.as_error(), f)
            }
            Self::Failed { error } => error.fmt(f),
            Self::TimedOut { timeout } => write!(f, "timed out after {timeout:?}"),
            Self::Panicked { message } => write!(f, "panicked: {message}"),
        }
    }
}

/// The error of an event for which a handler failed with a retryable error.
///
/// [`source`](Error::source) returns the first retryable error that a handler returned, if there is one.
#[derive(Debug)]
pub struct HandlersFailed {
    report: HandlerReport,
}

impl HandlersFailed {
    pub(super) fn new(report: HandlerReport) -> Self {
        Self { report }
    }

    /// Borrows the report, which has the handlers that succeeded too.
    pub fn report(&self) -> &HandlerReport {
        &self.report
    }

    /// Returns the report.
    pub fn into_report(self) -> HandlerReport {
        self.report
    }

    fn retryable(&self) -> impl Iterator<Item = &HandlerRun> {
        self.report
            .runs
            .iter()
            .filter(|run| run.outcome.is_retryable())
    }
}

impl fmt::Display for HandlersFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("handlers failed and should be tried again")?;
        for (i, run) in self.retryable().enumerate() {
            let before = if i == 0 { ": " } else { ", " };
            write!(f, "{before}{} ({})", run.name, run.outcome.as_str())?;
        }
        Ok(())
    }
}

impl Error for HandlersFailed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.retryable().find_map(|run| match &run.outcome {
            HandlerOutcome::Failed { error } => {
                let error: &(dyn Error + 'static) = error.as_error();
                Some(error)
            }
            _ => None,
        })
    }
}
