//! The statements that both databases share, in PostgreSQL's dialect. [`Session`](super::session::Session) qualifies the
//! tables in PostgreSQL, and translates `now_ns()` and `= ANY($1)` for SQLite. Where the databases differ more, there are two
//! statements.

pub(super) const PROBE: &str = "\
INSERT INTO pyannote_probe (id, written_at) VALUES (1, now_ns())
ON CONFLICT (id) DO UPDATE SET written_at = excluded.written_at";

pub(super) const CONFLICT: &str = "\
INSERT INTO pyannote_conflicts (event_id, sha256, received_at, signed_at, body) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (event_id, sha256) DO NOTHING";

/// Of $1, which is a worker's name, for $2 nanoseconds.
pub(super) const RENEW: &str = "\
INSERT INTO pyannote_leases (name, holder, renewed_at, expires_at) VALUES ($1, $1, now_ns(), now_ns() + $2)
ON CONFLICT (name) DO UPDATE SET renewed_at = excluded.renewed_at, expires_at = excluded.expires_at";

/// Takes the lease $1 for $2, for $3 nanoseconds, unless another holder has it.
#[cfg(feature = "reconcile")]
pub(super) const LEASE: &str = "\
INSERT INTO pyannote_leases (name, holder, renewed_at, expires_at) VALUES ($1, $2, now_ns(), now_ns() + $3)
ON CONFLICT (name) DO UPDATE
SET holder = excluded.holder, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
WHERE pyannote_leases.holder = excluded.holder OR pyannote_leases.expires_at <= now_ns()";

/// After a clock was set back, a lease would be held longer than its length.
pub(super) const REBASE_LEASES: &str = "\
UPDATE pyannote_leases SET renewed_at = now_ns(), expires_at = now_ns() + (expires_at - renewed_at)
WHERE renewed_at > now_ns()";

/// After a clock was set back, an event would wait longer than its delay.
pub(super) const REBASE_EVENTS: &str = "\
UPDATE pyannote_events SET queued_at = now_ns(), due_at = now_ns() + (due_at - queued_at)
WHERE state = 'waiting' AND due_at > (SELECT now_ns()) AND queued_at > (SELECT now_ns())";

/// The attempt of the worker without a lease counts, so that an event that kills its worker is dead in the end.
pub(super) const TAKE_OVER: &str = "\
UPDATE pyannote_events SET state = 'waiting', attempts = attempts + 1, claims = claims + 1, worker = NULL,
    queued_at = now_ns(), due_at = now_ns()
WHERE state = 'running' AND COALESCE(worker, '') <> $1 AND NOT EXISTS (
    SELECT 1 FROM pyannote_leases l WHERE l.name = pyannote_events.worker AND l.expires_at > now_ns())";

/// Counts as a claim, so that a result that is still on its way to the database is rejected.
pub(super) const RELEASE: &str = "\
UPDATE pyannote_events SET state = 'waiting', claims = claims + 1, worker = NULL
WHERE state = 'running' AND worker = $1 AND NOT id = ANY($2)";

/// Skips an event while another event of its job runs, or an earlier one waits, even if the earlier one is due later. The events
/// of a job therefore run one at a time and in their order, and a claim takes at most one of them.
///
/// SQLite plans a statement again for each value of a bare `LIMIT $2`.
pub(super) const CLAIM_SQLITE: &str = "\
WITH due AS (
    SELECT e.id FROM pyannote_events e
    WHERE e.state = 'waiting' AND e.due_at BETWEEN $4 AND (SELECT now_ns()) AND NOT EXISTS (
        SELECT 1 FROM pyannote_events o WHERE o.job_key = e.job_key AND (
            o.state = 'running' OR o.state = 'waiting' AND o.id < e.id))
    ORDER BY e.due_at, e.id LIMIT $2 + 0
)
UPDATE pyannote_events SET state = 'running', worker = $1, claims = claims + 1
WHERE id IN (SELECT id FROM due)
RETURNING id, claims, attempts, body_bytes, due_at, received_at, signed_at, retry_number, retry_reason,
    (SELECT b.body FROM pyannote_bodies b WHERE b.event_id = pyannote_events.id AND pyannote_events.body_bytes <= $3) AS body,
    (SELECT s.kind FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS job_kind,
    (SELECT s.reference FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS reference,
    (SELECT s.metadata FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS metadata, traceparent,
    (SELECT s.traceparent FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS submitted_traceparent, source";

/// As [`CLAIM_SQLITE`].
///
/// PostgreSQL's clock moves during a statement, so only a subquery of the clock bounds the search in the index. Without a bound,
/// each claim would read all events that wait for a retry. Claims at the same time skip each other's events. The unique index on
/// running events rejects a claim that a skipped event would have excluded.
pub(super) const CLAIM_POSTGRES: &str = "\
WITH due AS (
    SELECT e.id FROM pyannote_events e
    WHERE e.state = 'waiting' AND e.due_at BETWEEN $4 AND (SELECT now_ns()) AND NOT EXISTS (
        SELECT 1 FROM pyannote_events o WHERE o.job_key = e.job_key AND (
            o.state = 'running' OR o.state = 'waiting' AND o.id < e.id))
    ORDER BY e.due_at, e.id LIMIT $2
    FOR UPDATE SKIP LOCKED
)
UPDATE pyannote_events SET state = 'running', worker = $1, claims = claims + 1
WHERE id IN (SELECT id FROM due)
RETURNING id, claims, attempts, body_bytes, due_at, received_at, signed_at, retry_number, retry_reason,
    CASE WHEN body_bytes <= $3 THEN body END AS body,
    (SELECT s.kind FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS job_kind,
    (SELECT s.reference FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS reference,
    (SELECT s.metadata FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS metadata, traceparent,
    (SELECT s.traceparent FROM pyannote_submissions s WHERE s.job_key = pyannote_events.job_key) AS submitted_traceparent, source";

/// Begins a transaction that claims. Without these settings, PostgreSQL reads and sorts the whole backlog for each claim while it
/// has no statistics of the tables. The settings end with the transaction.
pub(super) const BEGIN_CLAIM_POSTGRES: &str = "\
BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off;
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";

pub(super) const RESULTS: &str =
    "SELECT event_id, handler, error FROM pyannote_results WHERE event_id = ANY($1)";

/// Writes only while the event runs. A worker repeats a write whose answer was lost, and the repeated write must not restore a
/// result that a replay has deleted.
pub(super) const SETTLE_SQLITE: &str = "\
INSERT INTO pyannote_results (event_id, handler, error)
SELECT r.value ->> 'id', r.value ->> 'handler', r.value ->> 'handler_error' FROM json_each($1) r
WHERE r.value ->> 'handler' IS NOT NULL AND EXISTS (
    SELECT 1 FROM pyannote_events e
    WHERE e.id = r.value ->> 'id' AND e.state = 'running' AND e.claims = r.value ->> 'number')
ON CONFLICT (event_id, handler) DO NOTHING";

/// As [`SETTLE_SQLITE`].
pub(super) const SETTLE_POSTGRES: &str = "\
INSERT INTO pyannote_results (event_id, handler, error)
SELECT r.id, r.handler, r.handler_error
FROM json_to_recordset(CAST($1 AS JSON)) AS r (id BIGINT, number BIGINT, handler TEXT, handler_error TEXT)
WHERE r.handler IS NOT NULL AND EXISTS (
    SELECT 1 FROM pyannote_events e WHERE e.id = r.id AND e.state = 'running' AND e.claims = r.number)
ON CONFLICT (event_id, handler) DO NOTHING";

/// A null `error` clears the last one. An exhausted event keeps it, because it says more than that no attempt is left.
pub(super) const FINISH_SQLITE: &str = "\
UPDATE pyannote_events AS e SET state = r.state, attempts = e.attempts + r.failures, worker = NULL,
    queued_at = now_ns(), due_at = now_ns() + r.delay,
    finished_at = CASE WHEN r.state = 'waiting' THEN NULL ELSE now_ns() END,
    last_error = CASE WHEN r.is_exhausted THEN COALESCE(e.last_error || '; then ', '') || r.error ELSE r.error END
FROM (
    SELECT value ->> 'id' AS id, value ->> 'number' AS number, value ->> 'worker' AS worker, value ->> 'state' AS state,
        value ->> 'failures' AS failures, value ->> 'delay' AS delay, value ->> 'error' AS error,
        value ->> 'is_exhausted' AS is_exhausted
    FROM json_each($1) WHERE value ->> 'state' IS NOT NULL
) r
WHERE e.id = r.id AND e.state = 'running' AND e.worker = r.worker AND e.claims = r.number
RETURNING id";

pub(super) const FINISH_POSTGRES: &str = "\
UPDATE pyannote_events AS e SET state = r.state, attempts = e.attempts + r.failures, worker = NULL,
    queued_at = now_ns(), due_at = now_ns() + r.delay,
    finished_at = CASE WHEN r.state = 'waiting' THEN NULL ELSE now_ns() END,
    last_error = CASE WHEN r.is_exhausted THEN COALESCE(e.last_error || '; then ', '') || r.error ELSE r.error END
FROM json_to_recordset(CAST($1 AS JSON)) AS r (id BIGINT, number BIGINT, worker TEXT, state TEXT,
    failures BIGINT, delay BIGINT, error TEXT, is_exhausted BOOLEAN)
WHERE r.state IS NOT NULL AND e.id = r.id AND e.state = 'running' AND e.worker = r.worker AND e.claims = r.number
RETURNING e.id";

/// Finds out whether an earlier try to write this end committed, and only its answer was lost.
pub(super) const IS_FINISHED: &str =
    "SELECT 1 FROM pyannote_events WHERE id = $1 AND claims = $2 AND state = $3";

pub(super) const FORGET_RESULTS: &str = "\
DELETE FROM pyannote_results WHERE event_id = ANY($1)";

pub(super) const COUNTS: &str =
    "SELECT state, CAST(SUM(events) AS BIGINT) FROM pyannote_counts GROUP BY state";

/// Adds up the changes of the counts; SQLite has one row for each state.
pub(super) const COMPACT_COUNTS_POSTGRES: &str = "\
WITH changes AS (DELETE FROM pyannote_counts RETURNING state, events)
INSERT INTO pyannote_counts SELECT state, SUM(events) FROM changes GROUP BY state";

pub(super) const OLDEST: &str =
    "SELECT MIN(received_at) FROM pyannote_events WHERE finished_at IS NULL";

pub(super) const SUBMITTED_TRACE: &str =
    "SELECT traceparent FROM pyannote_submissions WHERE job_key = $1";

pub(super) const EVENT_SQLITE: &str = "\
SELECT e.received_at, e.signed_at, e.retry_number, e.retry_reason, e.source, b.body, s.kind AS job_kind, s.reference, s.metadata,
    e.traceparent, s.traceparent AS submitted_traceparent
FROM pyannote_events e JOIN pyannote_bodies b ON b.event_id = e.id
LEFT JOIN pyannote_submissions s ON s.job_key = e.job_key WHERE e.id = $1";

pub(super) const EVENT_POSTGRES: &str = "\
SELECT e.received_at, e.signed_at, e.retry_number, e.retry_reason, e.source, e.body, s.kind AS job_kind, s.reference, s.metadata,
    e.traceparent, s.traceparent AS submitted_traceparent
FROM pyannote_events e LEFT JOIN pyannote_submissions s ON s.job_key = e.job_key WHERE e.id = $1";

pub(super) const REPLAY: &str = "\
UPDATE pyannote_events SET state = 'waiting', attempts = 0, finished_at = NULL, queued_at = now_ns(), due_at = now_ns()
WHERE id = $1 AND state IN ('handled', 'dead', 'waiting')";

pub(super) const REPLAY_RESULTS: &str =
    "DELETE FROM pyannote_results WHERE event_id = $1 AND ($2 OR error IS NOT NULL)";

pub(super) const PRUNABLE: &str = "\
SELECT e.id, e.body_bytes + (
    SELECT CAST(COALESCE(SUM(LENGTH(c.body)), 0) AS BIGINT) FROM pyannote_conflicts c WHERE c.event_id = e.id)
FROM pyannote_events e WHERE e.finished_at < $1 AND e.state = 'handled' LIMIT $2";

/// A reconciler must not fetch a job again while the API still lists it.
pub(super) const NOTE_RECEIVED: &str = "\
UPDATE pyannote_submissions SET outcome = 'received' WHERE job_key IN (
    SELECT job_key FROM pyannote_events WHERE id = ANY($1) AND status IN ('succeeded', 'failed', 'canceled'))";

pub(super) const NOTE_UNSUBMITTED: &str = "\
INSERT INTO pyannote_submissions (job_key, job_id, status_only, submitted_at, outcome)
SELECT job_key, MIN(job_id), FALSE, MAX(received_at), 'received' FROM pyannote_events
WHERE id = ANY($1) AND received_at > $2 AND status IN ('succeeded', 'failed', 'canceled') GROUP BY job_key
ON CONFLICT (job_key) DO NOTHING";

/// Checks the state again, because an operator may have replayed the event meanwhile.
pub(super) const PRUNE: &str =
    "DELETE FROM pyannote_events WHERE id = ANY($1) AND state = 'handled'";

pub(super) const OLD_SUBMISSIONS: &str = "\
SELECT COUNT(*), MAX(submitted_at) FROM (
    SELECT submitted_at FROM pyannote_submissions WHERE submitted_at > $1 AND submitted_at < $2
    ORDER BY submitted_at LIMIT $3) s";

/// Returns the job whose end is not known.
pub(super) const FORGET_SUBMISSIONS: &str = "\
DELETE FROM pyannote_submissions WHERE submitted_at > $1 AND submitted_at <= $2 AND NOT EXISTS (
    SELECT 1 FROM pyannote_events e WHERE e.job_key = pyannote_submissions.job_key)
RETURNING CASE WHEN outcome IS NULL THEN job_id END";

pub(super) const FORGET_LEASES: &str = "\
DELETE FROM pyannote_leases WHERE expires_at < now_ns() - $1 AND NOT EXISTS (
    SELECT 1 FROM pyannote_events e WHERE e.worker = pyannote_leases.name AND e.state = 'running')";
