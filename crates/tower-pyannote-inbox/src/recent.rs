use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::error::InboxError;

/// How the last work of each kind went in the database.
///
/// A probe alone does not tell: it writes to a table of its own, and succeeds where a damaged index makes every commit fail.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    pub(crate) commits: Last,
    pub(crate) claims: Last,
    /// How attempts ended, and what handlers settled.
    pub(crate) results: Last,
    pub(crate) counts: Last,
}

impl Recent {
    /// Returns the error of a kind of work whose last try failed within the last minute.
    ///
    /// An older failure no longer counts, because a server that is sent no deliveries while it is unhealthy could never
    /// show that it has recovered.
    pub(crate) fn check(&self) -> Result<(), InboxError> {
        let all = [
            ("commit", &self.commits),
            ("claim", &self.claims),
            ("result", &self.results),
            ("count", &self.counts),
        ];
        let failure = all
            .into_iter()
            .find_map(|(what, last)| Some((what, last.failure()?)));
        match failure {
            Some((what, error)) => {
                let kind = error.kind();
                Err(InboxError::because(kind, LastFailed { what, error }))
            }
            None => Ok(()),
        }
    }
}

/// The failure of the last try, if it failed.
#[derive(Debug, Default)]
pub(crate) struct Last(Mutex<Option<(Instant, InboxError)>>);

impl Last {
    pub(crate) fn note<T>(&self, done: &Result<T, InboxError>) {
        let failure = done.as_ref().err();
        let failure = failure.map(|error| (Instant::now(), error.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    fn failure(&self) -> Option<InboxError> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, error) = last.as_ref()?;
        (at.elapsed() < REMEMBERED).then(|| error.clone())
    }
}

#[derive(Debug)]
struct LastFailed {
    what: &'static str,
    error: InboxError,
}

impl fmt::Display for LastFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the last {} failed", self.what)
    }
}

impl std::error::Error for LastFailed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Not the error itself, whose kind is that of the whole.
        self.error.source()
    }
}

const REMEMBERED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InboxErrorKind;

    fn failed() -> Result<(), InboxError> {
        Err(InboxError::because(InboxErrorKind::Timeout, "damaged"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_counts_until_a_success_or_for_a_minute() {
        let recent = Recent::default();
        recent.check().unwrap();

        recent.claims.note(&failed());
        recent.commits.note(&Ok(()));
        let error = recent.check().unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Timeout);
        let source = std::error::Error::source(&error).unwrap();
        assert_eq!(source.to_string(), "the last claim failed");
        assert_eq!(source.source().unwrap().to_string(), "damaged");
        recent.claims.note(&Ok(()));
        recent.check().unwrap();

        recent.commits.note(&failed());
        tokio::time::advance(REMEMBERED - Duration::from_secs(1)).await;
        recent.check().unwrap_err();
        tokio::time::advance(Duration::from_secs(1)).await;
        recent.check().unwrap();
    }
}
