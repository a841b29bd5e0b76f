use std::time::{SystemTime, UNIX_EPOCH};

use super::{Kind, Retry};

/// The data of a delivery that is not in the body of its [`WebhookEvent`](crate::WebhookEvent). The layer fills it in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// When pyannoteAI signed the delivery, in Unix seconds: `X-Request-Timestamp` as verified.
    pub timestamp: u64,
    /// When the delivery was received, by the receiver's clock.
    pub received_at: SystemTime,
    /// The number and reason of pyannoteAI's retry; `None` at the first attempt.
    pub retry: Option<Retry>,
    /// The number of the handlers' attempt, from 1; more than 1 only behind an inbox.
    pub attempt: u32,
    /// The kind of job that was submitted; `None` if it is not known. Only an inbox knows it.
    pub job_kind: Option<Kind>,
}

impl Delivery {
    /// Creates a first attempt received at `received_at` and signed in the same second.
    #[must_use]
    pub fn at(received_at: SystemTime) -> Self {
        let since_epoch = received_at.duration_since(UNIX_EPOCH);
        Self {
            timestamp: since_epoch.map_or(0, |duration| duration.as_secs()),
            received_at,
            retry: None,
            attempt: 1,
            job_kind: None,
        }
    }

    /// Sets the time of signing, in Unix seconds. The default is `received_at`, in whole seconds.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: u64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Sets pyannoteAI's retry. The default is `None`.
    #[must_use]
    pub fn with_retry(mut self, retry: Option<Retry>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the number of the handlers' attempt. The default is 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the kind of job that was submitted. The default is `None`: not known.
    #[must_use]
    pub fn with_job_kind(mut self, kind: Option<Kind>) -> Self {
        self.job_kind = kind;
        self
    }
}
