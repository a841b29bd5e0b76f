//! The work of a store, its answers, and its timeouts.

use std::{sync::Arc, time::Duration};

use crate::{
    entry::Commit,
    error::InboxError,
    record::{Record, Stored},
};

/// How a store groups commits best.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grouping {
    /// Transactions at the same time.
    pub(crate) parallel: usize,
    /// Events in one transaction.
    pub(crate) largest: usize,
}

/// The work of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) records: Vec<Record>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) claims: Vec<Places>,
}

impl Batch {
    pub(crate) fn of_record(record: Record) -> Self {
        Self {
            records: vec![record],
            ..Self::default()
        }
    }

    pub(crate) fn of_outcome(outcome: Outcome) -> Self {
        Self {
            outcomes: vec![outcome],
            ..Self::default()
        }
    }

    /// Returns whether an event may be due because of this batch.
    pub(crate) fn may_make_due(&self) -> bool {
        let has_ended = self.outcomes.iter().any(|outcome| outcome.end.is_some());
        has_ended || !self.records.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len() + self.outcomes.len() + self.claims.len()
    }
}

/// A worker's claim to events that are due.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) worker: Arc<str>,
    /// The most events.
    pub(crate) places: usize,
    /// Whether to look for due times from before a clock was set back, too.
    pub(crate) is_idle: bool,
}

/// The answers to a [`Batch`].
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) commits: Vec<Commit>,
    /// `false` if another claim has the event.
    pub(crate) written: Vec<bool>,
    pub(crate) claimed: Vec<Vec<Claimed>>,
}

/// A worker's hold on an event.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) id: i64,
    pub(crate) worker: Arc<str>,
    /// Fencing token: each claim, takeover and release increments it, so that late writes by earlier claimants are rejected.
    pub(crate) number: i64,
}

/// A claimed event.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) claim: Claim,
    /// An error if the row cannot be decoded.
    pub(crate) row: Result<ClaimedRow, InboxError>,
    /// The handlers that have finished in earlier attempts.
    pub(crate) settled: Vec<Settled>,
}

#[derive(Debug)]
pub(crate) struct ClaimedRow {
    /// The attempts before this one.
    pub(crate) attempts: u32,
    pub(crate) body_bytes: u64,
    /// `None` if the body is larger than [`SMALL`]: it is read when there is memory for it.
    pub(crate) stored: Option<Stored>,
}

/// The writes of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) claim: Claim,
    pub(crate) settled: Option<Settled>,
    pub(crate) end: Option<End>,
    /// Whether the database may have results of the event. They are deleted once the event is handled.
    pub(crate) has_results: bool,
}

/// A handler that has finished with an event.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) handler: String,
    /// The permanent error of a handler that failed.
    pub(crate) error: Option<String>,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Handled,
    Retry {
        delay: Duration,
        error: String,
    },
    /// The event is not retried until an operator replays it.
    Dead {
        error: String,
    },
    /// The event is dead, because the attempts were exhausted before this one.
    Exhausted,
}

impl End {
    /// Returns the name in metrics and traces.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Handled => "handled",
            Self::Retry { .. } => "retried",
            Self::Dead { .. } | Self::Exhausted => "dead",
        }
    }
}

/// What `open` does if there is no inbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Made,
    Refused,
}

/// Well within a lease of the default length.
pub(crate) const ANSWER: Duration = Duration::from_secs(10);

/// For a large body on a slow network.
pub(crate) const LONG_ANSWER: Duration = Duration::from_secs(2 * 60);

/// A claim returns bodies up to this size, and a worker's memory limit does not count the first bytes of a body up to it.
pub(crate) const SMALL: u64 = 64 << 10;
