//! The metrics that this crate emits: names, help texts, units and buckets.
//!
//! They are recorded through the `metrics` facade. Call [`describe`] after an exporter is installed, and give it [`BUCKETS`] if it
//! aggregates histograms.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_inbox_commits_total` | counter | count | `outcome` | Events given to the inbox: new, duplicate, conflict, failed. |
//! | `pyannote_inbox_commit_seconds` | histogram | seconds | | Time until an event was committed or refused. |
//! | `pyannote_inbox_attempts_total` | counter | count | `outcome` | Attempts to handle an event: handled, retried, dead, lost. |
//! | `pyannote_inbox_events` | gauge | count | `state` | Events in the inbox: waiting, running, handled, dead, unknown. |
//! | `pyannote_inbox_oldest_waiting_seconds` | gauge | seconds | | Age of the oldest event that is not handled yet. |
//! | `pyannote_reconciler_passes_total` | counter | count | `outcome` | Passes of the reconciler: complete, incomplete. |
//! | `pyannote_reconciler_pass_seconds` | histogram | seconds | | Duration of a pass. |
//! | `pyannote_reconciler_jobs_total` | counter | count | `outcome` | Missing jobs that were fetched: new, duplicate, pending, lost, expired, failed. |
//! | `pyannote_reconciler_urgent_jobs_total` | counter | count | | Missing jobs within an hour of the deletion of their output. |
//! | `pyannote_reconciler_missing_jobs` | gauge | count | | Jobs without an event after the last pass. |
//! | `pyannote_reconciler_pending_jobs` | gauge | count | | Jobs that still run, or that may still get their webhook. |
//! | `pyannote_reconciler_next_pass_timestamp_seconds` | gauge | seconds | | Unix time of the next pass. |
//!
//! Every worker sets the gauges of the inbox, every 10 s. The last seven come from the reconciler (feature `reconcile`).

tower_pyannote::__metrics! {
    COMMITS = "pyannote_inbox_commits_total", Counter, "count", ["outcome"],
        "Events given to the inbox: new, duplicate, conflict, failed.";
    COMMIT_SECONDS = "pyannote_inbox_commit_seconds", Histogram, "seconds", [],
        "Time until an event was committed or refused.";
    ATTEMPTS = "pyannote_inbox_attempts_total", Counter, "count", ["outcome"],
        "Attempts to handle an event: handled, retried, dead, lost.";
    EVENTS = "pyannote_inbox_events", Gauge, "count", ["state"],
        "Events in the inbox: waiting, running, handled, dead, unknown.";
    OLDEST_WAITING_SECONDS = "pyannote_inbox_oldest_waiting_seconds", Gauge, "seconds", [],
        "Age of the oldest event that is not handled yet.";
    PASSES = "pyannote_reconciler_passes_total", Counter, "count", ["outcome"],
        "Passes of the reconciler: complete, incomplete.";
    PASS_SECONDS = "pyannote_reconciler_pass_seconds", Histogram, "seconds", [],
        "Duration of a pass.";
    RECONCILED_JOBS = "pyannote_reconciler_jobs_total", Counter, "count", ["outcome"],
        "Missing jobs that were fetched: new, duplicate, pending, lost, expired, failed.";
    URGENT_JOBS = "pyannote_reconciler_urgent_jobs_total", Counter, "count", [],
        "Missing jobs within an hour of the deletion of their output.";
    MISSING_JOBS = "pyannote_reconciler_missing_jobs", Gauge, "count", [],
        "Jobs without an event after the last pass.";
    PENDING_JOBS = "pyannote_reconciler_pending_jobs", Gauge, "count", [],
        "Jobs that still run, or that may still get their webhook.";
    NEXT_PASS_TIMESTAMP_SECONDS = "pyannote_reconciler_next_pass_timestamp_seconds", Gauge, "seconds", [],
        "Unix time of the next pass.";
}

/// The upper bounds of the histograms' buckets, in seconds.
pub const BUCKETS: &[(&str, &[f64])] = &[(COMMIT_SECONDS, &COMMIT), (PASS_SECONDS, &PASS)];

/// Up to 8 s, because pyannoteAI waits 10 s for an answer.
const COMMIT: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 4.0, 8.0];

const PASS: [f64; 8] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];
