use std::{error::Error, fmt, sync::Arc, time::Duration};

use crate::HandlerError;
use crate::error::write_sources;

/// What became of an event: how each handler that it was meant for ended, in order.
#[derive(Debug)]
#[must_use]
pub struct HandlerReport {
    runs: Vec<HandlerRun>,
}

impl HandlerReport {
    pub(super) fn new(runs: Vec<HandlerRun>) -> Self {
        Self { runs }
    }

    /// Gives the runs in the order in which they took place.
    #[must_use]
    pub fn runs(&self) -> &[HandlerRun] {
        &self.runs
    }

    /// Gives the runs that did not succeed, permanent failures included.
    pub fn failures(&self) -> impl Iterator<Item = &HandlerRun> {
        self.runs.iter().filter(|run| !run.outcome.is_success())
    }

    /// Says whether every handler succeeded, which holds too if there was none.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures().next().is_none()
    }

    /// Says whether some handler failed in a way that another attempt may mend.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.runs.iter().any(|run| run.outcome.is_retryable())
    }
}

/// How one handler's work on one event went.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandlerRun {
    /// The name the handler was registered under.
    pub name: Arc<str>,
    /// How it ended.
    pub outcome: HandlerOutcome,
    /// How long it took by the wall clock.
    pub elapsed: Duration,
}

/// How a handler ended.
///
/// `{:#}` shows the causes of an error too, each after a colon.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandlerOutcome {
    /// It returned `Ok`.
    Succeeded,
    /// It returned an error, which knows whether it is permanent.
    #[non_exhaustive]
    Failed {
        /// The error it returned.
        error: HandlerError,
    },
    /// It was stopped when its time was over. Retryable.
    #[non_exhaustive]
    TimedOut {
        /// The time it had.
        timeout: Duration,
    },
    /// It panicked. Retryable.
    #[non_exhaustive]
    Panicked {
        /// The message of the panic, or a word that there was none.
        message: String,
    },
}

impl HandlerOutcome {
    /// Says whether the handler returned `Ok`.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded)
    }

    /// Says whether another attempt may mend this.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Succeeded => false,
            Self::Failed { error } => !error.is_permanent(),
            Self::TimedOut { .. } | Self::Panicked { .. } => true,
        }
    }

    /// Gives the word for it, as in metrics: `success`, `error`, `permanent`, `timeout` or `panic`.
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

/// The error of an event of which a handler failed in a way that another attempt may mend.
///
/// Its [`source`](Error::source) is the first such handler's own error, if it returned one.
#[derive(Debug)]
pub struct HandlersFailed {
    report: HandlerReport,
}

impl HandlersFailed {
    pub(super) fn new(report: HandlerReport) -> Self {
        Self { report }
    }

    /// Says how every handler ended, those that succeeded included.
    pub fn report(&self) -> &HandlerReport {
        &self.report
    }

    /// Takes the report out.
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
