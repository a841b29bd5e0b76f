//! The statements that list events, and what else an operator reads.

use crate::{entry::InboxState, filter::InboxFilter};

/// Selects the columns of an entry, without a condition.
macro_rules! entries {
    () => {
        concat!(
            "SELECT e.id, e.job_id, e.status, COALESCE(e.kind, s.kind) AS kind, s.reference, s.metadata, ",
            "e.source, e.state, e.attempts, e.body_bytes, e.received_at, e.retry_number, e.retry_reason, ",
            "CASE WHEN e.state = 'waiting' THEN e.due_at END AS due_at, e.finished_at, e.last_error, ",
            "(SELECT COUNT(*) FROM pyannote_conflicts c WHERE c.event_id = e.id) AS conflicts ",
            "FROM pyannote_events e LEFT JOIN pyannote_submissions s ON s.job_key = e.job_key "
        )
    };
}

/// Selects events between two cursors, both excluded: $1 and $2 are the earlier, $3 and $4 the later.
///
/// `$only` repeats a filter as a literal, because a partial index is used only where the statement has its condition.
macro_rules! list {
    ($only:literal, $order:literal) => {
        concat!(
            entries!(),
            "WHERE ",
            $only,
            "(e.received_at, e.id) > ($1, $2) AND (e.received_at, e.id) < ($3, $4) ",
            "AND (CAST($5 AS TEXT) IS NULL OR CASE WHEN e.state IN ('waiting', 'running', 'handled', 'dead') ",
            "THEN e.state ELSE 'unknown' END = $5) ",
            "AND (NOT $6 OR e.job_key = $7) AND (CAST($8 AS BIGINT) IS NULL OR e.id = $8) ",
            "AND (CAST($9 AS TEXT) IS NULL OR e.status = $9) ",
            "AND (CAST($10 AS TEXT) IS NULL OR COALESCE(e.kind, s.kind, 'none') = $10) ",
            "AND (CAST($12 AS TEXT) IS NULL OR s.reference = $12) ",
            "ORDER BY e.received_at ", $order, ", e.id ", $order, " LIMIT $11"
        )
    };
}

/// Returns the statement for a filter. Its rows are newest first, or oldest first if the filter has only an earlier cursor.
pub(super) fn list(filter: &InboxFilter) -> &'static str {
    let oldest_first = filter.is_oldest_first();
    match (filter, oldest_first) {
        (InboxFilter { id: Some(_), .. }, _) => list!("e.id = $8 AND ", "DESC"),
        (
            InboxFilter {
                job_id: Some(_), ..
            },
            false,
        ) => list!("e.job_key = $7 AND ", "DESC"),
        (
            InboxFilter {
                job_id: Some(_), ..
            },
            true,
        ) => list!("e.job_key = $7 AND ", "ASC"),
        (
            InboxFilter {
                reference: Some(_), ..
            },
            false,
        ) => list!(
            "e.job_key IN (SELECT r.job_key FROM pyannote_submissions r WHERE r.reference = $12) AND ",
            "DESC"
        ),
        (
            InboxFilter {
                reference: Some(_), ..
            },
            true,
        ) => list!(
            "e.job_key IN (SELECT r.job_key FROM pyannote_submissions r WHERE r.reference = $12) AND ",
            "ASC"
        ),
        (InboxFilter { state, .. }, oldest_first) => match (state, oldest_first) {
            (Some(InboxState::Dead), false) => list!("e.state = 'dead' AND ", "DESC"),
            (Some(InboxState::Dead), true) => list!("e.state = 'dead' AND ", "ASC"),
            (Some(InboxState::Waiting | InboxState::Running), false) => {
                list!("e.finished_at IS NULL AND ", "DESC")
            }
            (Some(InboxState::Waiting | InboxState::Running), true) => {
                list!("e.finished_at IS NULL AND ", "ASC")
            }
            (_, false) => list!("", "DESC"),
            (_, true) => list!("", "ASC"),
        },
    }
}

/// Selects events by their ids, the lowest first.
pub(super) const BY_ID: &str = concat!(entries!(), "WHERE e.id > $1 ORDER BY e.id LIMIT $2");

pub(super) const RESULTS_OF: &str =
    "SELECT handler, error FROM pyannote_results WHERE event_id = $1 ORDER BY handler";

pub(super) const CONFLICTS_OF: &str = "\
SELECT sha256, received_at, CAST(LENGTH(body) AS BIGINT) FROM pyannote_conflicts WHERE event_id = $1
ORDER BY received_at, sha256";

/// Counts the events received since $1, by spans of $2 nanoseconds.
pub(super) const ARRIVALS: &str = "\
SELECT (received_at - $1) / $2 AS span, COUNT(*) FROM pyannote_events WHERE received_at >= $1 GROUP BY 1";

/// Keeps the last error, because it says why the event was marked.
pub(super) const MARK_HANDLED: &str = "\
UPDATE pyannote_events SET state = 'handled', finished_at = now_ns(),
    last_error = COALESCE(last_error || '; then ', '') || $2
WHERE id = $1 AND state = 'dead'";

pub(super) const DIGEST_AND_MEDIA_OF: &str = "\
SELECT e.sha256, e.signed_at, s.media FROM pyannote_events e
LEFT JOIN pyannote_submissions s ON s.job_key = e.job_key WHERE e.id = $1";
