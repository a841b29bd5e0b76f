use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    delivery::Delivery,
    envelope::{Envelope, EnvelopeScan},
    error::EventError,
    job_metadata::JobMetadata,
    output::{Kind, Output},
    retry::Retry,
    source::Source,
    status::Status,
};

/// A delivery of pyannoteAI: the status of a job, and its output.
///
/// Cloning is cheap. The constructor checks that the body is JSON and reads its envelope, in one pass. The first call of
/// [`output`](Self::output) types the output. `Debug` shows the job id, the status and the kind, and nothing else of the body.
///
/// # Example: the content of a body
///
/// ```
/// use std::time::SystemTime;
/// use tower_pyannote::{Kind, Status, WebhookEvent, event::{Delivery, EventError}};
///
/// let delivery = Delivery::at(SystemTime::now());
/// let body = r#"{"jobId": "55976e72", "status": "succeeded", "output": {
///     "diarization": [{"speaker": "SPEAKER_00", "start": 34.27, "end": 44.39}],
///     "warning": "numSpeakers could not be honored"}}"#;
/// let event = WebhookEvent::new(body.into(), delivery.clone())?;
///
/// assert_eq!(event.job_id(), "55976e72");
/// assert_eq!(*event.status(), Status::Succeeded);
/// assert_eq!(event.kind(), Some(Kind::Diarization));
/// assert_eq!(event.warning(), Some("numSpeakers could not be honored"));
/// let output = event.output().and_then(|output| output.as_diarization()).unwrap();
/// assert_eq!(output.diarization[0].speaker, "SPEAKER_00");
///
/// let refused = WebhookEvent::new(r#"{"status": "succeeded"}"#.into(), delivery);
/// assert_eq!(refused.unwrap_err(), EventError::MissingJobId);
/// # Ok::<(), EventError>(())
/// ```
#[derive(Clone)]
pub struct WebhookEvent(Arc<Inner>);

struct Inner {
    raw: Bytes,
    delivery: Delivery,
    envelope: Envelope,
    output: OnceLock<Output>,
}

impl WebhookEvent {
    /// Creates an event from the body of a delivery, whose signature the caller has verified.
    ///
    /// Apart from the job id, fields may be absent, null, repeated (the last one counts) or unknown.
    ///
    /// # Errors
    ///
    /// Returns [`EventError`] if the body is not UTF-8, not JSON or not an object, or has no job id.
    pub fn new(raw: Bytes, delivery: Delivery) -> Result<Self, EventError> {
        Self::scanned(raw, delivery, None)
    }

    /// Creates an event from a body. `scan` has read the part of the body that has arrived so far.
    pub(crate) fn scanned(
        raw: Bytes,
        delivery: Delivery,
        scan: Option<EnvelopeScan>,
    ) -> Result<Self, EventError> {
        let envelope = scan.unwrap_or_default().finish(&raw)?;
        let output = OnceLock::new();
        Ok(Self(Arc::new(Inner {
            raw,
            delivery,
            envelope,
            output,
        })))
    }

    /// Returns the id of the job, which is never empty.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.0.envelope.job_id
    }

    /// Returns the status of the job.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.0.envelope.status
    }

    /// Returns whether the job succeeded.
    #[must_use]
    pub fn is_succeeded(&self) -> bool {
        *self.status() == Status::Succeeded
    }

    /// Returns whether the job failed.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        *self.status() == Status::Failed
    }

    /// Returns whether the job was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        *self.status() == Status::Canceled
    }

    /// Returns the kind of the output, judged by the keys of the output; `None` without an output, or if the job failed or
    /// was canceled.
    ///
    /// Does not type the output. If a value inside has an unexpected shape, or the output is too large,
    /// [`output`](Self::output) returns [`Output::Unknown`] whatever the kind.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.status() {
            Status::Failed | Status::Canceled => None,
            _ => self.0.envelope.output_kind(),
        }
    }

    /// Returns the [kind of the output](Self::kind), else the kind of the job when it was submitted; `None` if both are unknown.
    ///
    /// A failed job has no output. Its kind is known behind an inbox that recorded the submission before the event arrived.
    #[must_use]
    pub fn job_kind(&self) -> Option<Kind> {
        self.kind().or(self.0.delivery.job_kind)
    }

    /// Returns the output; `None` if it is absent or null.
    ///
    /// The first call types the output, which takes some milliseconds per megabyte. Later calls are free. The typed output
    /// lives until the event and its clones are dropped, and takes at most 64 KiB and four bytes for each byte of its text; an
    /// output that would take more is [`Output::Unknown`]. An unpaired surrogate in a string (`"\ud800"`) becomes a
    /// replacement character.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        let (kind, range) = self.0.envelope.output.clone()?;
        let read = || Output::read(kind, self.0.raw.slice(range));
        Some(self.0.output.get_or_init(read))
    }

    /// Returns the output without a copy if no clone of this event exists, else a copy of it.
    pub(super) fn into_output(self) -> Option<Output> {
        self.output()?;
        match Arc::try_unwrap(self.0) {
            Ok(event) => event.output.into_inner(),
            Err(shared) => shared.output.get().cloned(),
        }
    }

    /// Returns the reason of a failure: `error` of the output, else of the body, if it is a string.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.0.envelope.error.as_deref()
    }

    /// Returns the warning of pyannoteAI: `warning` of the output, else of the body, if it is a string.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.0.envelope.warning.as_deref()
    }

    /// Returns the number and reason of the retry; `None` if this is the first attempt to deliver the event.
    #[must_use]
    pub fn retry(&self) -> Option<&Retry> {
        self.0.delivery.retry.as_ref()
    }

    /// Returns the reference that was submitted with the job, such as a key of your database. Returns `None` if it is unknown.
    ///
    /// An inbox that recorded the submission knows the reference. Requests of the crate `pyannoteai-client` take it. The reference
    /// is your own text and comes from your database, not from pyannoteAI.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.0.delivery.reference.as_deref()
    }

    /// Returns the JSON that was submitted with the job. Returns `None` if it is unknown.
    ///
    /// An inbox that recorded the submission knows the JSON, as it knows the [reference](Self::reference).
    #[must_use]
    pub fn metadata(&self) -> Option<&JobMetadata> {
        self.0.delivery.metadata.as_ref()
    }

    /// Returns where the body came from: from a webhook, or from pyannoteAI's API.
    #[must_use]
    pub fn source(&self) -> Source {
        self.0.delivery.source
    }

    /// Returns the time at which pyannoteAI signed the delivery, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.0.delivery.timestamp
    }

    /// Returns the time at which the delivery was received.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.0.delivery.received_at
    }

    /// Returns the number of the attempt to handle this event, from 1.
    ///
    /// The number is over 1 if an inbox retries after a failure. [`retry`](Self::retry) returns the retries of pyannoteAI.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.delivery.attempt
    }

    /// Borrows all that came with the body.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    /// Returns the time at which the job was created; `None` without a valid `createdAt`.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.envelope.created_at
    }

    /// Returns the time at which the job last changed; `None` without a valid `updatedAt`.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.0.envelope.updated_at
    }

    /// Borrows the body as it was received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// Parses the whole body as a type of your own.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the body has another shape.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.0.raw)
    }
}

impl fmt::Debug for WebhookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookEvent")
            .field("job_id", &self.job_id())
            .field("status", &self.status())
            .field("kind", &self.kind())
            .field("bytes", &self.raw().len())
            .finish_non_exhaustive()
    }
}
