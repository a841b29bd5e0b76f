use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::SystemTime,
};

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    Delivery, EventError, Kind, Output, Retry, Status,
    envelope::{Envelope, EnvelopeScan},
};

/// A delivery of pyannoteAI: how a job ended, and its output.
///
/// It is cheap to clone. To create one checks that the body is JSON and reads its envelope, in one
/// scan; the output is typed when it is first asked for. `Debug` shows no content of the body but
/// job id and status.
///
/// # Example: what a body says
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
    /// Creates an event from the body of a delivery, which the caller has verified.
    ///
    /// Nothing is refused because of what it carries: fields may be absent, null, repeated (the
    /// last counts) or unknown.
    ///
    /// # Errors
    ///
    /// Returns why the body is no event: it is not UTF-8, not JSON, not an object, or names no job.
    pub fn new(raw: Bytes, delivery: Delivery) -> Result<Self, EventError> {
        Self::scanned(raw, delivery, None)
    }

    /// Creates an event from a body of which some may have been scanned while it arrived.
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

    /// Returns the id of the job; it is never empty.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.0.envelope.job_id
    }

    /// Returns how the job ended.
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

    /// Returns the kind of output that the keys of the output tell.
    ///
    /// It is `None` if there is no output, and if the job failed or was canceled. The keys are
    /// known without typing the output; should a value deep inside then be of unforeseen shape, or
    /// the whole too large, [`output`](Self::output) is [`Output::Unknown`] all the same.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        match self.status() {
            Status::Failed | Status::Canceled => None,
            Status::Succeeded | Status::Other(_) => self.0.envelope.output_kind(),
        }
    }

    /// Returns the kind of the job, of one that failed too: what its output tells, else what it was submitted as.
    ///
    /// A failed job has no output to tell by. Behind an inbox that records submissions it is known all the same, if the
    /// submission was recorded before the event came.
    #[must_use]
    pub fn job_kind(&self) -> Option<Kind> {
        self.kind().or(self.0.delivery.job_kind)
    }

    /// Returns the output, `None` if it is absent or null.
    ///
    /// The first call types it, which takes some milliseconds a megabyte; later ones are free. It
    /// takes at most four bytes of memory for each byte of its text, and 64 KiB, until the event and
    /// its clones are dropped: one that would take more is [`Output::Unknown`]. Where a
    /// string holds half a surrogate pair (`"\ud800"`), it gets a replacement character.
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

    /// Returns what went wrong: `error` of the output, else of the body, if that is a string.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.0.envelope.error.as_deref()
    }

    /// Returns what pyannoteAI warns of: `warning` of the output, else of the body, if that is a
    /// string.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.0.envelope.warning.as_deref()
    }

    /// Returns which repetition the delivery is, `None` at the first attempt.
    #[must_use]
    pub fn retry(&self) -> Option<&Retry> {
        self.0.delivery.retry.as_ref()
    }

    /// Returns when pyannoteAI signed the delivery, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.0.delivery.timestamp
    }

    /// Returns when the delivery was received.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.0.delivery.received_at
    }

    /// Returns which time the handlers meet this event, from 1.
    ///
    /// It is more than 1 where an inbox tries again after a failure; [`retry`](Self::retry) tells of
    /// pyannoteAI's own repetitions.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.0.delivery.attempt
    }

    /// Returns what came with the body.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.0.delivery
    }

    /// Returns when the job was created, if the body has a readable `createdAt`.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.envelope.created_at
    }

    /// Returns when the job last changed, if the body has a readable `updatedAt`.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.0.envelope.updated_at
    }

    /// Returns the body as it was received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.raw
    }

    /// Parses the whole body as a type of your own.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the body is not of that shape.
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
