use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tower_pyannote::{
    Kind,
    event::{JobMetadata, Retry, Source},
};

use crate::{cursor::InboxCursor, record::nanoseconds};

/// Whether a committed event was new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Commit {
    /// The event was committed, and will be handled.
    New,
    /// The event was committed before, with the same body.
    Duplicate,
    /// The event was committed before, with another body. The first body stays; this one is kept as a conflict.
    Conflict,
}

impl Commit {
    /// Returns the name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

/// The state of an event in the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxState {
    /// The event waits for its first attempt, or for a retry.
    Waiting,
    /// A worker handles the event.
    Running,
    /// Every handler succeeded. The event is removed after the retention time.
    Handled,
    /// The retries are exhausted, or an error is permanent. The event stays until it is replayed.
    Dead,
    /// The database has a state that this version does not know. No worker claims the event, and it cannot be replayed.
    Unknown,
}

impl InboxState {
    /// Returns the name in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Handled => "handled",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }

    pub(crate) fn from_name(name: &str) -> Self {
        match name {
            "waiting" => Self::Waiting,
            "running" => Self::Running,
            "handled" => Self::Handled,
            "dead" => Self::Dead,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for InboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event in the inbox, without its body.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InboxEntry {
    /// The event's id in this inbox: a number.
    pub id: String,
    /// The job's id, cut after 256 characters.
    pub job_id: String,
    /// How the job ended, as pyannoteAI wrote it.
    pub status: String,
    /// The kind of its output, or else of its job, if a [`Client`](pyannoteai_client::Client) recorded the submission.
    pub kind: Option<Kind>,
    /// The reference that was submitted with the job, if a [`Client`](pyannoteai_client::Client) recorded the submission.
    pub reference: Option<String>,
    /// The JSON that was submitted with the job, if a [`Client`](pyannoteai_client::Client) recorded the submission.
    pub metadata: Option<JobMetadata>,
    /// Where the body came from.
    pub source: Source,
    /// The state.
    pub state: InboxState,
    /// The number of failed attempts.
    pub attempts: u32,
    /// The size of the body, in bytes.
    pub bytes: u64,
    /// When the event was received.
    pub received_at: SystemTime,
    /// The retry of the delivery that was committed. `None` at the first attempt of the sender.
    pub retry: Option<Retry>,
    /// When the next attempt is due. `None` unless the event is waiting.
    pub next_attempt_at: Option<SystemTime>,
    /// When the event was handled or became dead.
    pub finished_at: Option<SystemTime>,
    /// Why the last attempt failed: the handler's name and its error.
    pub last_error: Option<String>,
    /// How many other bodies were delivered for the same job and status.
    pub conflicts: u64,
}

impl InboxEntry {
    /// Returns the event's place in the list.
    #[must_use]
    pub fn cursor(&self) -> InboxCursor {
        InboxCursor {
            received_at: nanoseconds(self.received_at),
            id: self.id.parse().unwrap_or_default(),
        }
    }
}

/// How many events are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxStats {
    /// Events that wait for their first attempt, or for a retry.
    pub waiting: u64,
    /// Events that a worker handles.
    pub running: u64,
    /// Events that are handled and not yet removed.
    pub handled: u64,
    /// Events that are dead.
    pub dead: u64,
    /// Events in a state that this version does not know.
    pub unknown: u64,
    /// The time since the oldest event that waits or runs was received.
    pub oldest_waiting: Option<Duration>,
}

/// Which handlers run when an event is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replay {
    /// Those that have not succeeded.
    #[default]
    Unfinished,
    /// All of them.
    All,
}
