use std::time::SystemTime;

use tower_pyannote::Kind;

use crate::{cursor::InboxCursor, entry::InboxState, record::nanoseconds};

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
