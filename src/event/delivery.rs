use std::time::{SystemTime, UNIX_EPOCH};

use super::{job_metadata::JobMetadata, output::Kind, retry::Retry, source::Source, text::Text};

/// All that came with the body of a [`WebhookEvent`](crate::WebhookEvent). The layer fills it in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// The time at which pyannoteAI signed the delivery, in Unix seconds: the verified `X-Request-Timestamp`.
    pub timestamp: u64,
    /// The time at which the delivery was received, by the receiver's clock.
    pub received_at: SystemTime,
    /// The number and reason of the retry; `None` at the first attempt to deliver.
    pub retry: Option<Retry>,
    /// The number of the attempt to handle the event, from 1. It is over 1 only behind an inbox.
    pub attempt: u32,
    /// The kind of the job when it was submitted; `None` if unknown. It is known only behind an inbox.
    pub job_kind: Option<Kind>,
    /// Where the body came from.
    pub source: Source,
    /// The reference that was submitted with the job; `None` if unknown. It is known only behind an inbox.
    pub reference: Option<Text>,
    /// The JSON that was submitted with the job; `None` if unknown. It is known only behind an inbox.
    pub metadata: Option<JobMetadata>,
}

impl Delivery {
    /// Creates a first attempt that was received at `received_at` and signed in the same second.
    #[must_use]
    pub fn at(received_at: SystemTime) -> Self {
        let since_epoch = received_at.duration_since(UNIX_EPOCH);
        Self {
            timestamp: since_epoch.map_or(0, |duration| duration.as_secs()),
            received_at,
            retry: None,
            attempt: 1,
            job_kind: None,
            source: Source::Webhook,
            reference: None,
            metadata: None,
        }
    }

    /// Sets the time of signing, in Unix seconds. Default: the whole seconds of `received_at`.
    #[must_use]
    pub fn with_timestamp(mut self, timestamp: u64) -> Self {
        self.timestamp = timestamp;
        self
    }

    /// Sets the number and reason of a retry. Default: none.
    #[must_use]
    pub fn with_retry(mut self, retry: Option<Retry>) -> Self {
        self.retry = retry;
        self
    }

    /// Sets the number of the attempt to handle the event. Default: 1.
    #[must_use]
    pub fn with_attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// Sets the kind of the job when it was submitted. Default: unknown.
    #[must_use]
    pub fn with_job_kind(mut self, kind: Option<Kind>) -> Self {
        self.job_kind = kind;
        self
    }

    /// Sets where the body came from. Default: a webhook.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sets the reference that was submitted with the job. Default: unknown.
    #[must_use]
    pub fn with_reference(mut self, reference: Option<Text>) -> Self {
        self.reference = reference;
        self
    }

    /// Sets the JSON that was submitted with the job. Default: unknown.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Option<JobMetadata>) -> Self {
        self.metadata = metadata;
        self
    }
}
