use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};

use tower_pyannote::{
    Kind,
    event::{JobMetadata, Retry, Source},
};

use crate::record::nanoseconds;

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
    /// The attempts are used up, or an error is permanent. The event stays until it is replayed.
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

/// The place of an event in the list: its time of receipt and its id. Later events have greater cursors.
///
/// `Display` writes a text of digits and one `-`, which [`str::parse`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxCursor {
    received_at: i64,
    id: i64,
}

impl fmt::Display for InboxCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.received_at, self.id)
    }
}

impl FromStr for InboxCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        // From the right, because times before 1970 are negative.
        let (received_at, id) = text.rsplit_once('-').ok_or(InvalidCursor)?;
        let parse = |number: &str| number.parse().map_err(|_| InvalidCursor);
        Ok(Self {
            received_at: parse(received_at)?,
            id: parse(id)?,
        })
    }
}

/// The error of a text that is not an [`InboxCursor`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCursor;

impl fmt::Display for InvalidCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the cursor is not two numbers joined by `-`: take it from an entry of the list",
        )
    }
}

impl std::error::Error for InvalidCursor {}

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

/// Selects the events that [`Inbox::list`](crate::Inbox::list) returns.
#[derive(Clone, Debug)]
#[must_use]
pub struct InboxFilter {
    pub(crate) state: Option<InboxState>,
    pub(crate) job_id: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) kind: Option<Option<Kind>>,
    received_from: Option<SystemTime>,
    received_to: Option<SystemTime>,
    after: Option<InboxCursor>,
    before: Option<InboxCursor>,
    pub(crate) above: Option<i64>,
    pub(crate) limit: u32,
}

impl InboxFilter {
    /// Selects the latest 100 events.
    pub const fn new() -> Self {
        Self {
            state: None,
            job_id: None,
            id: None,
            above: None,
            reference: None,
            status: None,
            kind: None,
            received_from: None,
            received_to: None,
            after: None,
            before: None,
            limit: 100,
        }
    }

    /// Selects only events in this state. Default: any.
    pub fn with_state(mut self, state: InboxState) -> Self {
        self.state = Some(state);
        self
    }

    /// Selects only the events of one job. Default: all.
    pub fn with_job_id(mut self, job_id: impl Into<String>) -> Self {
        self.job_id = Some(job_id.into());
        self
    }

    /// Selects only the event with this id. Default: all.
    pub fn with_id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Selects only the events of jobs that were submitted with this reference. Default: all.
    pub fn with_reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Selects only events with this status, as pyannoteAI wrote it. Default: any.
    pub fn with_status(mut self, status: impl Into<String>) -> Self {
        self.status = Some(status.into());
        self
    }

    /// Selects only events of this kind, or with `None` events without a kind. Default: any.
    pub fn with_kind(mut self, kind: Option<Kind>) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Selects only events received at this time or later. Default: all.
    pub fn with_received_from(mut self, time: SystemTime) -> Self {
        self.received_from = Some(time);
        self
    }

    /// Selects only events received before this time. Default: all.
    pub fn with_received_to(mut self, time: SystemTime) -> Self {
        self.received_to = Some(time);
        self
    }

    /// Selects only events that are newer than this cursor. Default: all.
    ///
    /// With a limit, these are the events next to the cursor, unless [`with_before`](Self::with_before) is set too.
    pub fn with_after(mut self, cursor: InboxCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// Selects only events that are older than this cursor, the newest of them first. Default: all.
    ///
    /// A page that begins at a cursor takes as long as the first page, however many events come before.
    pub fn with_before(mut self, cursor: InboxCursor) -> Self {
        self.before = Some(cursor);
        self
    }

    /// Selects the events with greater ids than this one, the lowest id first, to go through all events page by page. The
    /// other conditions are ignored, except the limit. Default: all events, the last received first.
    ///
    /// An id that is not a number counts as 0.
    pub fn with_id_above(mut self, id: impl AsRef<str>) -> Self {
        self.above = Some(id.as_ref().parse().unwrap_or_default());
        self
    }

    /// Sets the largest number of events. Default: 100.
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Returns whether the limit keeps the oldest of the selected events.
    pub(crate) const fn is_oldest_first(&self) -> bool {
        self.after.is_some() && self.before.is_none()
    }

    pub(crate) fn kind_name(&self) -> Option<&'static str> {
        self.kind.map(|kind| kind.map_or("none", Kind::as_str))
    }

    /// Returns the places between which all selected events are, both excluded.
    pub(crate) fn bounds(&self) -> ((i64, i64), (i64, i64)) {
        let place = |cursor: InboxCursor| (cursor.received_at, cursor.id);
        let start = |time: SystemTime| (nanoseconds(time), 0);
        let after = self.after.map(place);
        let before = self.before.map(place);
        let after = after.max(self.received_from.map(start));
        let to = self.received_to.map(start);
        let before = [before, to].into_iter().flatten().min();
        (
            after.unwrap_or((i64::MIN, 0)),
            before.unwrap_or((i64::MAX, i64::MAX)),
        )
    }
}

impl Default for InboxFilter {
    fn default() -> Self {
        Self::new()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        for (received_at, id) in [(1_767_225_600_123_456_789, 42), (-5, 1), (0, i64::MAX)] {
            let cursor = InboxCursor { received_at, id };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in [
            "",
            "-",
            "1",
            "1-",
            "-1",
            "1-x",
            "99999999999999999999-1",
            "1-2-x",
        ] {
            assert_eq!(text.parse::<InboxCursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
