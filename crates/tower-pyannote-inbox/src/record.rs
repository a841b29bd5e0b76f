use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sqlx::FromRow;

use crate::trace::{Origin, TraceContext};
use tower_pyannote::{
    Kind, WebhookEvent,
    event::{Delivery, EventError, JobMetadata, Retry, Source, Text},
};

/// An event as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The deduplication key: a digest of job id and status.
    pub(crate) event_key: [u8; 32],
    /// A digest of the job id.
    pub(crate) job_key: [u8; 32],
    pub(crate) job_id: String,
    pub(crate) status: String,
    pub(crate) kind: Option<&'static str>,
    pub(crate) source: Source,
    pub(crate) sha256: [u8; 32],
    pub(crate) received_at: i64,
    pub(crate) signed_at: i64,
    pub(crate) retry_number: Option<i64>,
    pub(crate) retry_reason: Option<String>,
    /// The context of the delivery's span.
    pub(crate) trace: Option<TraceContext>,
    pub(crate) body: Bytes,
}

impl Record {
    pub(crate) fn of(event: &WebhookEvent, source: Source) -> Self {
        let (job_id, status) = (event.job_id(), event.status().as_str());
        let job_key = job_key(job_id);
        let retry = event.retry();
        Self {
            event_key: event_key(&job_key, status),
            job_key,
            job_id: storable(job_id),
            status: storable(status),
            kind: event.kind().map(Kind::as_str),
            source,
            sha256: Sha256::digest(event.raw()).into(),
            received_at: nanoseconds(event.received_at()),
            signed_at: i64::from_ne_bytes(event.timestamp().to_ne_bytes()),
            retry_number: retry.map(|retry| retry.number.into()),
            retry_reason: retry
                .and_then(|retry| retry.reason.as_ref())
                .map(|reason| reason.as_str().to_owned()),
            trace: None,
            body: event.raw().clone(),
        }
    }

    pub(crate) fn body_bytes(&self) -> i64 {
        i64::try_from(self.body.len()).unwrap_or(i64::MAX)
    }

    /// Returns whether both events came by webhook and their bodies differ. A body from the API may have other bytes for the same
    /// content.
    pub(crate) fn conflicts_with(&self, sha256: &[u8], source: &str) -> bool {
        let webhook = Source::Webhook;
        self.source == webhook && source == webhook.as_str() && sha256 != self.sha256
    }
}

/// The stored part of an event that is delivered again.
pub(crate) struct Kept {
    pub(crate) id: i64,
    pub(crate) sha256: Vec<u8>,
    pub(crate) source: String,
}

/// A stored event.
#[derive(Debug, FromRow)]
pub(crate) struct Stored {
    pub(crate) received_at: i64,
    pub(crate) signed_at: i64,
    pub(crate) retry_number: Option<i64>,
    pub(crate) retry_reason: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) source: String,
    /// The kind of the job, if its submission was recorded, and the data that was submitted with it.
    pub(crate) job_kind: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) metadata: Option<String>,
    /// The contexts of the delivery's span and of the submission's span.
    pub(crate) traceparent: Option<String>,
    pub(crate) submitted_traceparent: Option<String>,
}

impl Stored {
    /// Returns where the trace of the event comes from.
    pub(crate) fn origin(&self) -> Origin {
        Origin {
            delivered: trace(self.traceparent.as_deref()),
            submitted: trace(self.submitted_traceparent.as_deref()),
        }
    }

    /// Returns the event. Its signature and freshness were checked when it was received.
    pub(crate) fn into_event(self, attempt: u32) -> Result<WebhookEvent, EventError> {
        let number = self.retry_number.map(|number| number.to_string());
        let retry = Retry::from_headers(
            number.as_deref().map(str::as_bytes),
            self.retry_reason.as_deref().map(str::as_bytes),
        );
        let delivery = Delivery::at(time(self.received_at))
            .with_timestamp(u64::from_ne_bytes(self.signed_at.to_ne_bytes()))
            .with_retry(retry)
            .with_attempt(attempt)
            .with_job_kind(self.job_kind.as_deref().and_then(kind))
            .with_source(source(&self.source))
            .with_reference(self.reference.map(Text::from))
            .with_metadata(self.metadata.and_then(metadata));
        WebhookEvent::new(self.body.into(), delivery)
    }
}

/// A submitted job.
#[cfg(feature = "reconcile")]
#[derive(Clone, Debug)]
pub(crate) struct Submission {
    pub(crate) job_id: Text,
    pub(crate) kind: Option<Kind>,
    /// Whether the webhook has only the status, without the output.
    pub(crate) status_only: bool,
    pub(crate) submitted_at: SystemTime,
    pub(crate) own: OwnData,
    /// The context of the submission's span.
    pub(crate) trace: Option<TraceContext>,
}

/// The user's data of a submission.
#[cfg(feature = "reconcile")]
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnData {
    pub(crate) reference: Option<Text>,
    pub(crate) metadata: Option<JobMetadata>,
    /// The `media://` URL of the audio file. An intent has none.
    pub(crate) media: Option<Text>,
}

/// A submission that is about to be sent.
#[cfg(feature = "reconcile")]
#[derive(Clone, Debug)]
pub(crate) struct NewIntent {
    pub(crate) id: Text,
    pub(crate) kind: Kind,
    pub(crate) status_only: bool,
    pub(crate) own: OwnData,
    /// How long events of unknown jobs wait for the answer at most.
    pub(crate) lifetime: Duration,
}

/// Returns a digest, because a job id has any length, and a database's index takes only short keys.
pub(crate) fn job_key(job_id: &str) -> [u8; 32] {
    Sha256::digest(job_id).into()
}

fn event_key(job_key: &[u8; 32], status: &str) -> [u8; 32] {
    // The job's digest has a fixed length, so that no two pairs give the same text.
    let mut digest = Sha256::new();
    digest.update(job_key);
    digest.update(status);
    digest.finalize().into()
}

/// Returns text for people to read, without NUL, which PostgreSQL refuses, and cut after 256 characters.
pub(crate) fn storable(text: &str) -> String {
    let mut stored = String::new();
    for c in text.chars().take(LONGEST_TEXT) {
        match c {
            '\0' => stored.push('\u{fffd}'),
            c => stored.push(c),
        }
    }
    if text.chars().nth(LONGEST_TEXT).is_some() {
        stored.push('…');
    }
    stored
}

/// Returns the text of a handler's error, without NUL, and cut after 2,000 characters.
pub(crate) fn storable_error(handler: &str, error: &dyn std::fmt::Display) -> String {
    let mut text = Limited {
        text: String::new(),
        left: LONGEST_ERROR,
    };
    // `Limited` fails only to end a text that is too long.
    let _ = write!(text, "{handler}: {error}");
    text.text.replace('\0', "\u{fffd}")
}

struct Limited {
    text: String,
    left: usize,
}

impl Write for Limited {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for c in part.chars() {
            if self.left == 0 {
                return Err(std::fmt::Error);
            }
            self.left -= 1;
            self.text.push(c);
        }
        Ok(())
    }
}

pub(crate) fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(error) => i64::try_from(error.duration().as_nanos()).map_or(i64::MIN, |before| -before),
    }
}

pub(crate) fn time(nanoseconds: i64) -> SystemTime {
    let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
    if nanoseconds < 0 {
        UNIX_EPOCH - distance
    } else {
        UNIX_EPOCH + distance
    }
}

/// Returns the source of a stored event.
pub(crate) fn source(name: &str) -> Source {
    match name {
        "api" => Source::Api,
        _ => Source::Webhook,
    }
}

/// Returns stored metadata; `None` if the stored text is no longer JSON.
pub(crate) fn metadata(json: String) -> Option<JobMetadata> {
    JobMetadata::from_json(json).ok()
}

/// Parses a stored context. Returns `None` if the text is invalid.
pub(crate) fn trace(stored: Option<&str>) -> Option<TraceContext> {
    stored.and_then(|text| text.parse().ok())
}

pub(crate) fn kind(name: &str) -> Option<Kind> {
    [
        Kind::Diarization,
        Kind::Identification,
        Kind::Voiceprint,
        Kind::Unknown,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
}

const LONGEST_TEXT: usize = 256;
const LONGEST_ERROR: usize = 2_000;

#[cfg(test)]
mod tests {
    use super::*;
    use tower_pyannote::event::RetryReason;

    fn event(body: &'static str) -> WebhookEvent {
        let delivery = Delivery::at(UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789))
            .with_timestamp(1_700_000_001)
            .with_retry(Some(Retry::new(2, Some(RetryReason::HttpTimeout))));
        WebhookEvent::new(body.into(), delivery).unwrap()
    }

    #[test]
    fn an_event_comes_back_as_it_was_stored() {
        let event = event(r#"{"jobId":"a","status":"succeeded","output":null}"#);
        let record = Record::of(&event, Source::Webhook);
        let stored = Stored {
            received_at: record.received_at,
            signed_at: record.signed_at,
            retry_number: record.retry_number,
            retry_reason: record.retry_reason,
            body: record.body.to_vec(),
            source: record.source.as_str().to_owned(),
            job_kind: Some("diarization".to_owned()),
            reference: Some("meeting-42".to_owned()),
            metadata: Some("[7]".to_owned()),
            traceparent: None,
            submitted_traceparent: None,
        };
        let back = stored.into_event(3).unwrap();
        assert_eq!(back.raw(), event.raw());
        let delivery = event.delivery().clone().with_attempt(3);
        let delivery = delivery
            .with_job_kind(Some(Kind::Diarization))
            .with_reference(Some("meeting-42".into()))
            .with_metadata(JobMetadata::new(&[7]).ok());
        assert_eq!(back.delivery(), &delivery);
    }

    #[test]
    fn any_timestamp_survives_the_signed_column() {
        for timestamp in [0, 1, u64::MAX, 9_999_999_999_999_999_999] {
            let delivery = Delivery::at(UNIX_EPOCH).with_timestamp(timestamp);
            let event = WebhookEvent::new(r#"{"jobId":"a"}"#.into(), delivery).unwrap();
            let record = Record::of(&event, Source::Webhook);
            assert_eq!(
                u64::from_ne_bytes(record.signed_at.to_ne_bytes()),
                timestamp
            );
        }
    }

    #[test]
    fn times_before_the_epoch_come_back() {
        for nanoseconds in [-1, 0, 1, i64::MAX, i64::MIN + 1] {
            assert_eq!(super::nanoseconds(time(nanoseconds)), nanoseconds);
        }
    }

    #[test]
    fn a_colon_does_not_run_job_and_status_together() {
        let event_key = |job_id, status| event_key(&job_key(job_id), status);
        assert_ne!(event_key("a:b", "c"), event_key("a", "b:c"));
        assert_ne!(event_key("ab", "c"), event_key("a", "bc"));
    }

    #[test]
    fn text_is_stored_without_nul_and_cut() {
        assert_eq!(storable("a\0b"), "a\u{fffd}b");
        assert_eq!(storable(&"x".repeat(256)), "x".repeat(256));
        assert_eq!(storable(&"x".repeat(257)), "x".repeat(256) + "…");
        assert_eq!(storable_error("log", &"bad\0"), "log: bad\u{fffd}");
        assert_eq!(storable_error("log", &"x".repeat(9_000)).len(), 2_000);
    }
}
