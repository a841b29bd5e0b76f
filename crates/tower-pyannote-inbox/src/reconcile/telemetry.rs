//! Logs and metrics of the reconciler.

use std::{error::Error, time::Duration};

use super::{
    ReconcileReport,
    job::{Fetched, Missing},
};

/// Tells of a pass that is over.
pub(super) fn passed(report: &ReconcileReport, elapsed: Duration) {
    count::passed(report, elapsed);
    log::passed(report);
}

/// Tells what became of a job.
pub(super) fn fetched(job: &Missing, fetched: &Fetched) {
    let outcome = match fetched {
        Fetched::New => "new",
        Fetched::Duplicate => "duplicate",
        Fetched::Pending => "pending",
        Fetched::Lost => "lost",
        Fetched::Expired => "expired",
        Fetched::Failed(_) => "failed",
    };
    count::fetched(outcome);
    log::fetched(job, outcome);
}

/// Tells of a job whose output is deleted within the hour.
pub(super) fn urgent(job: &Missing, left: Duration) {
    count::urgent();
    log::urgent(job, left);
}

/// Tells of a job whose output nobody can bring back.
pub(super) fn lost(job: &Missing, why: &'static str) {
    log::lost(job, why);
}

/// Tells of a job that could not be fetched or committed, this time.
pub(super) fn job_failed(job: &Missing, error: &(dyn Error + 'static)) {
    log::job_failed(job, error);
}

/// Tells of something else that failed, this time.
pub(super) fn failed(what: &'static str, error: &(dyn Error + 'static)) {
    log::failed(what, error);
}

/// Tells of a pass that panicked, as a recorder of logs or metrics may.
pub(super) fn panicked() {
    count::panicked();
    log::panicked();
}

/// Logs that another reconciler has the lease.
pub(super) fn lease_lost() {
    log::lease_lost();
}

/// Tells of a pass that stopped, as one job after another failed.
pub(super) fn broken_off(left: usize) {
    log::broken_off(left);
}

mod count {
    use std::time::Duration;

    use metrics::{counter, gauge, histogram};

    use crate::{
        metrics::{MISSING_JOBS, PASS_SECONDS, PASSES, PENDING_JOBS, RECONCILED_JOBS, URGENT_JOBS},
        reconcile::ReconcileReport,
    };

    pub(super) fn passed(report: &ReconcileReport, elapsed: Duration) {
        let outcome = match report.is_complete() {
            true => "complete",
            false => "incomplete",
        };
        counter!(PASSES, "outcome" => outcome).increment(1);
        histogram!(PASS_SECONDS).record(elapsed);
        let settled = report.new + report.duplicates + report.lost + report.expired;
        let missing = report.missing.saturating_sub(settled);
        gauge!(MISSING_JOBS).set(float(missing));
        gauge!(PENDING_JOBS).set(float(report.pending));
    }

    pub(super) fn panicked() {
        counter!(PASSES, "outcome" => "incomplete").increment(1);
    }

    pub(super) fn fetched(outcome: &'static str) {
        counter!(RECONCILED_JOBS, "outcome" => outcome).increment(1);
    }

    pub(super) fn urgent() {
        counter!(URGENT_JOBS).increment(1);
    }

    #[expect(
        clippy::as_conversions,
        reason = "a count is far below the 2^53 that a float holds exactly"
    )]
    fn float(jobs: u64) -> f64 {
        jobs as f64
    }
}

mod log {
    use std::{error::Error, time::Duration};

    use crate::{ReconcileReport, error::Chain, reconcile::job::Missing};
    use tower_pyannote::Kind;

    pub(super) fn passed(report: &ReconcileReport) {
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
            errors,
        } = *report;
        if missing == 0 && errors == 0 {
            tracing::debug!(listed, awaited, pending, "nothing is missing in the inbox");
        } else {
            tracing::info!(
                listed,
                awaited,
                missing,
                new,
                duplicates,
                pending,
                lost,
                expired,
                failed,
                errors,
                "reconciled"
            );
        }
    }

    pub(super) fn fetched(job: &Missing, outcome: &'static str) {
        let (job_id, kind) = (job.job_id(), kind(job));
        match outcome {
            "new" => tracing::info!(
                job_id,
                kind,
                "an event whose webhook did not come was fetched"
            ),
            outcome => tracing::debug!(job_id, kind, outcome, "a missing job was asked for"),
        }
    }

    pub(super) fn urgent(job: &Missing, left: Duration) {
        tracing::warn!(
            job_id = job.job_id(),
            kind = kind(job),
            minutes = left.as_secs() / 60,
            "a job's output may be deleted within the hour, and its event is not in the inbox"
        );
    }

    pub(super) fn lost(job: &Missing, why: &'static str) {
        tracing::error!(
            job_id = job.job_id(),
            kind = kind(job),
            why,
            "a job's event is lost: its webhook did not come, and it can no longer be fetched"
        );
    }

    pub(super) fn job_failed(job: &Missing, error: &(dyn Error + 'static)) {
        tracing::error!(
            job_id = job.job_id(),
            kind = kind(job),
            error = %Chain(error),
            "a missing event could not be fetched, to be tried again"
        );
    }

    pub(super) fn failed(what: &'static str, error: &(dyn Error + 'static)) {
        tracing::error!(what, error = %Chain(error), "the reconciler failed, to be tried again");
    }

    pub(super) fn lease_lost() {
        tracing::warn!("another reconciler has the lease; this one waits");
    }

    pub(super) fn panicked() {
        tracing::error!("a pass of the reconciler panicked, to be tried again");
    }

    pub(super) fn broken_off(left: usize) {
        tracing::warn!(
            left,
            "one job after another failed: the others are left for the next pass"
        );
    }

    fn kind(job: &Missing) -> Option<&'static str> {
        job.submission.kind.map(Kind::as_str)
    }
}
