//! Logs and metrics of the reconciler.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use metrics::{counter, gauge, histogram};
use tracing::{debug, error, info, warn};

use super::{
    ReconcileReport,
    job::{Fetched, Missing},
};
use crate::{
    UnansweredSubmission,
    error::Chain,
    metrics::{
        MISSING_JOBS, NEXT_PASS_TIMESTAMP_SECONDS, PASS_SECONDS, PASSES, PENDING_JOBS,
        RECONCILED_JOBS, URGENT_JOBS,
    },
    telemetry::float,
};
use tower_pyannote::{Kind, event::Text};

/// Sets the gauge of the next pass.
pub(super) fn next_pass(at: SystemTime) {
    let since_epoch = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(NEXT_PASS_TIMESTAMP_SECONDS).set(since_epoch.as_secs_f64());
}

/// Counts and logs the end of a pass.
pub(super) fn passed(report: &ReconcileReport, elapsed: Duration) {
    let ReconcileReport {
        listed,
        awaited,
        missing,
        new,
        duplicates,
        pending,
        lost,
        expired,
        failed,
        unanswered,
        errors,
    } = *report;
    let outcome = match report.is_complete() {
        true => "complete",
        false => "incomplete",
    };
    counter!(PASSES, "outcome" => outcome).increment(1);
    histogram!(PASS_SECONDS).record(elapsed);
    let settled = new + duplicates + lost + expired;
    gauge!(MISSING_JOBS).set(float(missing.saturating_sub(settled)));
    gauge!(PENDING_JOBS).set(float(pending));
    if missing == 0 && errors == 0 {
        debug!(listed, awaited, pending, "nothing is missing in the inbox");
    } else {
        info!(
            listed,
            awaited,
            missing,
            new,
            duplicates,
            pending,
            lost,
            expired,
            failed,
            unanswered,
            errors,
            "reconciled"
        );
    }
}

/// Counts and logs the outcome of one job.
pub(super) fn fetched(job: &Missing, fetched: &Fetched) {
    let outcome = match fetched {
        Fetched::New => "new",
        Fetched::Duplicate => "duplicate",
        Fetched::Pending => "pending",
        Fetched::Lost => "lost",
        Fetched::Expired => "expired",
        Fetched::Failed(_) => "failed",
    };
    counter!(RECONCILED_JOBS, "outcome" => outcome).increment(1);
    let (job_id, kind) = (job.job_id(), kind(job));
    match fetched {
        Fetched::New => info!(
            job_id,
            kind, "an event whose webhook did not come was fetched"
        ),
        _ => debug!(job_id, kind, outcome, "a missing job was asked for"),
    }
}

/// Counts and logs a job whose output is deleted within the hour.
pub(super) fn urgent(job: &Missing, left: Duration) {
    counter!(URGENT_JOBS).increment(1);
    warn!(
        job_id = job.job_id(),
        kind = kind(job),
        minutes = left.as_secs() / 60,
        "a job's output may be deleted within the hour, and its event is not in the inbox"
    );
}

/// Logs a job whose output cannot be fetched any more.
pub(super) fn lost(job: &Missing, why: &'static str) {
    error!(
        job_id = job.job_id(),
        kind = kind(job),
        why,
        "a job's event is lost: its webhook did not come, and it can no longer be fetched"
    );
}

/// Logs a submission whose answer was lost, and the jobs that it may have created.
pub(super) fn unanswered(submission: &UnansweredSubmission, candidates: &[Text]) {
    let candidates: Vec<&str> = candidates.iter().map(Text::as_str).collect();
    warn!(
        submission = submission.id.as_str(),
        reference = submission.reference.as_deref(),
        kind = submission.kind.map(Kind::as_str),
        candidates = candidates.join(" "),
        "the answer to a submission was lost: if one of the candidates is its job, assign it with answer_submission or `inbox answer`"
    );
}

/// Logs a job that could not be fetched or committed in this pass.
pub(super) fn job_failed(job: &Missing, error: &(dyn Error + 'static)) {
    error!(
        job_id = job.job_id(),
        kind = kind(job),
        error = %Chain(error),
        "a missing event could not be fetched; the next pass tries again"
    );
}

/// Logs another failure of a pass.
pub(super) fn failed(what: &'static str, error: &(dyn Error + 'static)) {
    error!(what, error = %Chain(error), "the reconciler failed; the next pass tries again");
}

/// Counts and logs a pass that panicked, as a recorder of logs or metrics may.
pub(super) fn panicked() {
    counter!(PASSES, "outcome" => "incomplete").increment(1);
    error!("a pass of the reconciler panicked; the next pass tries again");
}

/// Logs that another reconciler has the lease.
pub(super) fn lease_lost() {
    warn!("another reconciler has the lease; this one waits");
}

/// Logs a pass that stopped, because one job after another failed.
pub(super) fn broken_off(left: usize) {
    warn!(
        left,
        "one job after another failed: the next pass tries the others"
    );
}

fn kind(job: &Missing) -> Option<&'static str> {
    job.submission.kind.map(Kind::as_str)
}
