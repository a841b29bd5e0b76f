/// The counts of one pass of a [`Reconciler`](crate::Reconciler).
///
/// Each missing job is counted as new, duplicate, pending, lost, expired or failed. If a pass ends early, the next pass fetches the
/// remaining jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconcileReport {
    /// Jobs that the API listed: those of the last 30 hours in the first pass, later those since the last list that was read
    /// to its end.
    pub listed: u64,
    /// Jobs that were submitted, and whose event was not in the inbox.
    pub awaited: u64,
    /// Jobs to fetch: without an event in the inbox, older than the grace period, and not known to run.
    pub missing: u64,
    /// Events that were fetched and committed.
    pub new: u64,
    /// Jobs whose webhook arrived during the fetch.
    pub duplicates: u64,
    /// Jobs that still run, or that may still get their webhook.
    pub pending: u64,
    /// Jobs whose output was deleted. The reconciler does not fetch them again.
    pub lost: u64,
    /// Jobs that only the first list named, and whose output was deleted by then. On a new inbox, other receivers handled them.
    pub expired: u64,
    /// Jobs that could not be fetched or committed this time.
    pub failed: u64,
    /// Submissions with a reference or metadata whose answer was lost, of the last 7 days.
    pub unanswered: u64,
    /// Calls of the API and of the database that failed, including those of failed jobs, and those that a second try repaired.
    pub errors: u64,
}

impl ReconcileReport {
    /// Returns whether no call failed. Every job that could be fetched is then in the inbox.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.errors == 0
    }
}
