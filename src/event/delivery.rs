use std::time::{SystemTime, UNIX_EPOCH};

use super::{Kind, Retry};

/// What came with the body of a [`WebhookEvent`](crate::WebhookEvent); the layer fills it in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// When pyannoteAI signed the delivery, in Unix seconds: `X-Request-Timestamp` as verified.
    pub timestamp: u64,
    /// When the delivery was received, by the receiver's clock.
    pub received_at: SystemTime,
    /// Which repetition this is; `None` at the first attempt.
    pub retry: Option<Retry>,
    /// Which time the handlers meet this event, from 1; more than 1 only behind an inbox.
    pub attempt: u32,
    /// What kind of job it was submitted as; `None` if that is not known, as it is only behind an inbox.
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

    /// Sets the time of signing, in Unix seconds; by default the whole seconds of `received_at`.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: u64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Sets which repetition this is; by default none.
    #[must_use]
    pub fn with_retry(mut self, retry: Option<Retry>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets which time the handlers meet this event; by default the first, 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets what kind of job it was submitted as; by default that is not known.
    #[must_use]
    pub fn with_job_kind(mut self, kind: Option<Kind>) -> Self {
        self.job_kind = kind;
        self
    }
}
