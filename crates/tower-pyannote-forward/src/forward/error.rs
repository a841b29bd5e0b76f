use std::{error::Error, fmt, sync::Arc, time::Duration};

use http::StatusCode;
use tower_pyannote::HandlerError;

/// Why an event was not forwarded. It names the endpoint by its origin, because its path may hold a token.
#[derive(Debug)]
pub(super) struct ForwardError {
    pub(super) origin: Arc<str>,
    pub(super) problem: Problem,
}

#[derive(Debug)]
pub(super) enum Problem {
    /// The circuit breaker is open.
    Open,
    /// Other requests held every slot until the timeout.
    Busy(Duration),
    TimedOut(Duration),
    /// No answer came. The error has no URL.
    Unanswered(reqwest::Error),
    Refused {
        status: StatusCode,
        is_permanent: bool,
        retry_after: Option<Duration>,
    },
}

impl Problem {
    /// Returns whether the endpoint is down, which the circuit breaker counts.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::TimedOut(_) | Self::Unanswered(_) => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::Open | Self::Busy(_) => false,
        }
    }
}

impl ForwardError {
    /// Returns the outcome, as the metric has it.
    pub(super) fn outcome(&self) -> &'static str {
        match self.problem {
            Problem::Open => "circuit_open",
            Problem::Busy(_) => "busy",
            Problem::TimedOut(_) => "timed_out",
            Problem::Unanswered(_) => "unanswered",
            Problem::Refused {
                is_permanent: true, ..
            } => "refused",
            Problem::Refused { .. } => "failed",
        }
    }

    /// Turns the error into one for the inbox, for the given attempt.
    ///
    /// `Retry-After` replaces the inbox's backoff. An endpoint that always asks for a second would use up all attempts
    /// within seconds, so the delay is at least that of the inbox's default backoff.
    pub(super) fn into_handler_error(self, attempt: u32) -> HandlerError {
        match self.problem {
            Problem::Refused {
                is_permanent: true, ..
            } => HandlerError::permanent(self),
            Problem::Refused {
                retry_after: Some(asked),
                ..
            } => {
                let doublings = attempt.saturating_sub(1).min(30);
                let backoff = FIRST_BACKOFF.saturating_mul(1 << doublings);
                let delay = asked.clamp(backoff.min(LONGEST_BACKOFF), LONGEST_RETRY_AFTER);
                HandlerError::new(self).retry_after(delay)
            }
            _ => HandlerError::new(self),
        }
    }
}

impl fmt::Display for ForwardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = &self.origin;
        match &self.problem {
            Problem::Open => write!(
                f,
                "{origin} failed too often, and gets no event until its circuit breaker closes"
            ),
            Problem::Busy(timeout) => write!(
                f,
                "{origin} got no event within {timeout:?}, because all requests that it may have in flight wait for an \
                 answer: raise in_flight, or make the endpoint faster"
            ),
            Problem::TimedOut(timeout) => write!(f, "{origin} did not answer within {timeout:?}"),
            Problem::Unanswered(_) => write!(f, "{origin} cannot be reached"),
            Problem::Refused { status, .. } if status.is_redirection() => write!(
                f,
                "{origin} answered {status}, and redirects are not followed: set the URL to which it redirects"
            ),
            Problem::Refused { status, .. } => write!(f, "{origin} answered {status}"),
        }
    }
}

impl Error for ForwardError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.problem {
            Problem::Unanswered(error) => Some(error),
            _ => None,
        }
    }
}

/// The inbox's default backoff.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60 * 60);

const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_waits_as_long_as_asked_and_at_least_the_backoff() {
        let delay = |seconds, attempt| {
            let error = ForwardError {
                origin: "https://example.com".into(),
                problem: Problem::Refused {
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    is_permanent: false,
                    retry_after: Some(Duration::from_secs(seconds)),
                },
            };
            let delay = error.into_handler_error(attempt).retry_delay();
            delay.map(|delay| delay.as_secs())
        };
        assert_eq!(delay(120, 1), Some(120));
        assert_eq!(delay(0, 1), Some(5));
        assert_eq!(delay(1, 4), Some(40));
        assert_eq!(delay(1, 1_000), Some(3_600));
        assert_eq!(delay(u64::MAX, 1), Some(86_400));
    }
}
