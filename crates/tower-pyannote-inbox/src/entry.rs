use std::{
    fmt,
    time::{Duration, SystemTime},
};

use tower_pyannote::Kind;

/// What became of an event that was given to the inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Commit {
    /// It was committed, and will be handled.
    New,
    /// It had been committed before, with the same body.
    Duplicate,
    /// It had been committed before, with another body. That one stays; this one is kept aside.
    Conflict,
}

impl Commit {
    /// Returns the word for it in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Duplicate => "duplicate",
            Self::Conflict => "conflict",
        }
    }
}

/// How far the handling of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InboxState {
    /// It waits to be handled, or to be tried again.
    Waiting,
    /// A worker holds it.
    Running,
    /// Every handler is through with it. It is removed when its time is over.
    Handled,
    /// Its attempts are used up, or a handler said that none can help. It stays until it is replayed.
    Dead,
    /// The database has it in a state that this version does not know. No worker takes it, and it is not replayed.
    Unknown,
}

impl InboxState {
    /// Returns the word for it.
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
    /// Names the event in this inbox.
    pub id: String,
    /// The job's id, cut after 256 characters.
    pub job_id: String,
    /// How the job ended, as pyannoteAI wrote it.
    pub status: String,
    /// The kind of its output, or else of its job, if a [`Client`](pyannoteai_client::Client) recorded the submission.
    pub kind: Option<Kind>,
    /// How far its handling is.
    pub state: InboxState,
    /// The attempts that failed so far.
    pub attempts: u32,
    /// The size of the body, in bytes.
    pub bytes: u64,
    /// When it was received.
    pub received_at: SystemTime,
    /// When it was handled or given up.
    pub finished_at: Option<SystemTime>,
    /// Why the last attempt failed, in the handlers' own words.
    pub last_error: Option<String>,
    /// How many other bodies came under the same job and status.
    pub conflicts: u64,
}

/// Which events to list.
#[derive(Clone, Debug)]
#[must_use]
pub struct InboxFilter {
    pub(crate) state: Option<InboxState>,
    pub(crate) job_id: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) limit: u32,
}

impl InboxFilter {
    /// The latest 100 events.
    pub const fn new() -> Self {
        Self {
            state: None,
            job_id: None,
            id: None,
            limit: 100,
        }
    }

    /// Lists only events in this state. Default: in any.
    pub fn with_state(mut self, state: InboxState) -> Self {
        self.state = Some(state);
        self
    }

    /// Lists only the events of one job. Default: of all.
    pub fn with_job_id(mut self, job_id: impl Into<String>) -> Self {
        self.job_id = Some(job_id.into());
        self
    }

    /// Lists only the event of this id. Default: all.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Lists at most so many. Default: 100.
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}

impl Default for InboxFilter {
    fn default() -> Self {
        Self::new()
    }
}

/// How much there is in the inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxStats {
    /// Events that wait to be handled, or to be tried again.
    pub waiting: u64,
    /// Events that a worker holds.
    pub running: u64,
    /// Events that are handled and not yet pruned.
    pub handled: u64,
    /// Events that were given up.
    pub dead: u64,
    /// Events in a state that this version does not know.
    pub unknown: u64,
    /// How long ago the oldest event that is not yet handled was received.
    pub oldest_waiting: Option<Duration>,
}

/// Which handlers meet an event that is replayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Replay {
    /// Those that did not succeed.
    #[default]
    Unfinished,
    /// All of them once more.
    All,
}
