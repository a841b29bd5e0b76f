//! The types of the JSON interface.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::Serialize;
use tower_pyannote::event::JobMetadata;
use tower_pyannote_inbox::{InboxDetails, InboxEntry, InboxStats};
use utoipa::ToSchema;

/// A page of events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventPage {
    pub(crate) events: Vec<EventSummary>,
    /// The value of `after` for the next newer events. Absent if the page is the first.
    pub(crate) newer: Option<String>,
    /// The value of `before` for the next older events. Absent if the page is the last.
    pub(crate) older: Option<String>,
}

/// An event without its body.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventSummary {
    pub(crate) id: String,
    pub(crate) job_id: String,
    /// How the job ended.
    pub(crate) status: String,
    /// diarization, identification, voiceprint or unknown. Absent without an output.
    pub(crate) kind: Option<&'static str>,
    /// The reference that was submitted with the job. Absent without one.
    pub(crate) reference: Option<String>,
    /// The JSON that was submitted with the job. Absent without one.
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) metadata: Option<JobMetadata>,
    /// webhook or api.
    pub(crate) source: &'static str,
    /// waiting, running, handled, dead or unknown.
    pub(crate) state: &'static str,
    /// The number of failed attempts.
    pub(crate) attempts: u32,
    /// The size of the body.
    pub(crate) bytes: u64,
    /// The number of pyannoteAI's retry. Absent at its first attempt.
    pub(crate) retry_number: Option<u32>,
    pub(crate) retry_reason: Option<String>,
    /// RFC 3339.
    pub(crate) received_at: String,
    pub(crate) next_attempt_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    pub(crate) last_error: Option<String>,
    /// How many other bodies were delivered for the same job and status.
    pub(crate) conflicts: u64,
    /// The event's place in the list, for `before` and `after`.
    pub(crate) cursor: String,
}

impl From<&InboxEntry> for EventSummary {
    fn from(entry: &InboxEntry) -> Self {
        let retry = entry.retry.as_ref();
        let reason = retry.and_then(|retry| retry.reason.as_ref());
        Self {
            id: entry.id.clone(),
            job_id: entry.job_id.clone(),
            status: entry.status.clone(),
            kind: entry.kind.map(|kind| kind.as_str()),
            reference: entry.reference.clone(),
            metadata: entry.metadata.clone(),
            source: entry.source.as_str(),
            state: entry.state.as_str(),
            attempts: entry.attempts,
            bytes: entry.bytes,
            retry_number: retry.map(|retry| retry.number),
            retry_reason: reason.map(|reason| reason.as_str().to_owned()),
            received_at: rfc3339(entry.received_at),
            next_attempt_at: entry.next_attempt_at.map(rfc3339),
            finished_at: entry.finished_at.map(rfc3339),
            last_error: entry.last_error.clone(),
            conflicts: entry.conflicts,
            cursor: entry.cursor().to_string(),
        }
    }
}

/// An event with the results of its handlers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventDetails {
    #[serde(flatten)]
    pub(crate) event: EventSummary,
    /// The SHA-256 digest of the body, in hex.
    pub(crate) sha256: String,
    /// The signed timestamp, in Unix seconds.
    pub(crate) signed_at: u64,
    /// The handlers that have finished. Empty once the event is handled.
    pub(crate) handlers: Vec<HandlerOutcome>,
    pub(crate) other_bodies: Vec<OtherBody>,
}

/// A handler that has finished with an event.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandlerOutcome {
    pub(crate) handler: String,
    /// The permanent error. Absent if the handler succeeded.
    pub(crate) error: Option<String>,
}

/// Another body that was delivered for the same job and status.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OtherBody {
    pub(crate) sha256: String,
    pub(crate) received_at: String,
    pub(crate) bytes: u64,
}

impl From<&InboxDetails> for EventDetails {
    fn from(details: &InboxDetails) -> Self {
        let handlers = details.results.iter().map(|result| HandlerOutcome {
            handler: result.handler.clone(),
            error: result.error.clone(),
        });
        let other_bodies = details.conflicts.iter().map(|conflict| OtherBody {
            sha256: base16ct::lower::encode_string(&conflict.sha256),
            received_at: rfc3339(conflict.received_at),
            bytes: conflict.bytes,
        });
        Self {
            event: EventSummary::from(&details.entry),
            sha256: base16ct::lower::encode_string(&details.sha256),
            signed_at: details.signed_at,
            handlers: handlers.collect(),
            other_bodies: other_bodies.collect(),
        }
    }
}

/// How many events are in each state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Counts {
    pub(crate) waiting: u64,
    pub(crate) running: u64,
    pub(crate) handled: u64,
    pub(crate) dead: u64,
    pub(crate) unknown: u64,
}

impl From<&InboxStats> for Counts {
    fn from(stats: &InboxStats) -> Self {
        Self {
            waiting: stats.waiting,
            running: stats.running,
            handled: stats.handled,
            dead: stats.dead,
            unknown: stats.unknown,
        }
    }
}

/// A part of a meeting, reduced to what a screen can show.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MeetingWindow {
    /// The seconds of the whole recording, as far as turns, words and scores show.
    pub(crate) duration: f64,
    pub(crate) from: f64,
    pub(crate) to: f64,
    /// The seconds in which anyone speaks, of the whole recording.
    pub(crate) speech_time: f64,
    /// The seconds in which two or more speak, of the whole recording.
    pub(crate) overlap: f64,
    pub(crate) lanes: Vec<Lane>,
    pub(crate) curves: Vec<CurveWindow>,
    /// The words of the part. Absent if there are more than `words` allows.
    pub(crate) words: Option<Vec<Words>>,
}

/// A speaker, and when the speaker is heard.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Lane {
    pub(crate) speaker: String,
    /// Of the whole recording.
    pub(crate) talk_time: f64,
    /// Of the whole recording.
    pub(crate) turns: usize,
    /// Turns of the part. Turns that a screen cannot separate are one span.
    pub(crate) spans: Vec<Span>,
    /// The spans in which this speaker alone is counted as speaking.
    pub(crate) exclusive: Vec<Span>,
    /// The probability that the speaker speaks.
    pub(crate) curve: Option<CurveWindow>,
}

/// One turn, or several that are close to each other.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Span {
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// The number of turns.
    pub(crate) turns: u32,
    /// The confidence of the speaker's label, 0 to 100: the lowest of the turns. Absent if it was not sent.
    pub(crate) confidence: Option<u8>,
}

/// A curve of scores, reduced to the least and the greatest score of each bucket.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct CurveWindow {
    pub(crate) name: String,
    /// The time at which the first bucket begins.
    pub(crate) start: f64,
    /// The seconds of a bucket.
    pub(crate) bucket: f64,
    /// The least and the greatest score of each bucket, 0 to 100. Null where no score was sent.
    pub(crate) buckets: Vec<Option<(u8, u8)>>,
}

/// A word, or the text of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Words {
    pub(crate) start: f64,
    pub(crate) end: f64,
    pub(crate) speaker: String,
    pub(crate) text: String,
}

/// The state of the receiver.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct System {
    pub(crate) version: &'static str,
    pub(crate) started_at: String,
    pub(crate) inbox: Option<Counts>,
    /// The age of the oldest event that waits or runs.
    pub(crate) oldest_waiting_seconds: Option<f64>,
    /// Events received in each of the last 60 minutes, the oldest first.
    pub(crate) arrivals: Vec<u64>,
    /// Events received in the last minute and in the last hour.
    pub(crate) rates: Rates,
    pub(crate) deliveries: Deliveries,
    /// The open connections of each listener.
    pub(crate) connections: Vec<ListenerConnections>,
    /// The limits on deliveries. Absent if the receiver does not serve `/webhook`.
    pub(crate) limits: Option<LimitsInForce>,
    /// The state of the reconciler. Absent if this process runs none.
    pub(crate) reconciler: Option<ReconcilerState>,
    /// The last refused deliveries, the newest first.
    pub(crate) refusals: Vec<Refusal>,
    /// The health of the inbox: ok, or the error.
    pub(crate) inbox_health: String,
    /// The health of the storage: ok, or the error.
    pub(crate) storage_health: String,
    pub(crate) gauges: Vec<Fact>,
    /// The settings in force. Secrets are redacted.
    pub(crate) settings: Vec<Fact>,
}

/// How many events were received.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rates {
    pub(crate) last_minute: u64,
    pub(crate) last_hour: u64,
}

/// The connections of a listener.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ListenerConnections {
    /// `public` or `private`.
    pub(crate) listener: &'static str,
    pub(crate) open: usize,
    pub(crate) most: usize,
}

/// The limits on deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LimitsInForce {
    /// The largest body.
    pub(crate) body_bytes: usize,
    /// The memory for all bodies that arrive, beyond the first 64 KiB of each.
    pub(crate) budget_bytes: usize,
    /// The used part of this memory.
    pub(crate) budget_used_bytes: usize,
    /// How long a body may take to arrive.
    pub(crate) body_seconds: f64,
    /// How much the timestamp of a delivery may differ from the clock.
    pub(crate) tolerance_seconds: f64,
    /// The largest number of connections of one client. 0 for no limit.
    pub(crate) per_client: usize,
}

/// The reconciler, which fetches events whose webhook did not arrive.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReconcilerState {
    /// Absent until the first pass has ended.
    pub(crate) next_pass_at: Option<String>,
    /// The jobs without an event after the last pass.
    pub(crate) missing_jobs: u64,
    /// The jobs that still run, or that may still get their webhook.
    pub(crate) pending_jobs: u64,
}

/// Answers to deliveries since the start.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
}

/// A delivery that was refused.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    pub(crate) at: String,
    pub(crate) status: u16,
    /// A stable name, such as `signature_mismatch`.
    pub(crate) reason: &'static str,
}

/// A name and a value.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Fact {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The result of an action.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Done {
    /// The number of events that the action changed.
    pub(crate) events: u64,
}

/// An error of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    pub(crate) error: String,
}

/// Who asks, and the token that actions need.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionInfo {
    pub(crate) who: String,
    /// The value of the header `x-csrf-token` of each action.
    pub(crate) csrf_token: String,
}

pub(crate) fn rfc3339(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "-".to_owned(), stamp)
}

/// Writes a time to the millisecond.
pub(crate) fn stamp(time: Timestamp) -> String {
    format!("{time:.3}")
}
