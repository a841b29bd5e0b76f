/// What a [`Reconciler`](crate::Reconciler) found and did in one pass.
///
/// What became of a missing job is new, duplicate, pending, lost, expired or failed, unless the pass was broken off: what is then
/// left over is for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReconcileReport {
    /// Jobs that the API listed: those of the last 30 hours in the first pass, later those since the last list that was read
    /// to its end.
    pub listed: u64,
    /// Jobs that were submitted, and whose event was not in the inbox.
    pub awaited: u64,
    /// Jobs that were to be fetched: not in the inbox, old enough, and not known to be still running.
    pub missing: u64,
    /// Events that were fetched and committed.
    pub new: u64,
    /// Jobs whose webhook came while they were being fetched.
    pub duplicates: u64,
    /// Jobs that are not over, or are still left to their webhook.
    pub pending: u64,
    /// Jobs whose output is gone, so that they are given up.
    pub lost: u64,
    /// Jobs that the first list alone named and whose output was gone by then: on a new inbox, those that others handled.
    pub expired: u64,
    /// Jobs that could not be fetched or committed this time.
    pub failed: u64,
    /// Submissions with a reference or metadata whose answer was lost, of the last 7 days.
    pub unanswered: u64,
    /// Calls of the API and of the database that failed, those of failed jobs included, and of those whose second try did not.
    pub errors: u64,
}

impl ReconcileReport {
    /// Tells whether nothing failed, so that every job that could be fetched is in the inbox.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.errors == 0
    }
}
