use std::time::{Duration, SystemTime};

use crate::record::Submission;

/// A job whose event is not in the inbox.
#[derive(Clone, Debug)]
pub(super) struct Missing {
    pub(super) submission: Submission,
    /// Whether the date of the submission is known.
    pub(super) dated: bool,
    /// Whether only the first list named the job. On a new inbox, another receiver may have handled such a job.
    pub(super) foreign: bool,
    /// Whether the API said that the job has not ended.
    pub(super) running: bool,
    /// Whether the last fetch failed, although fetches of other jobs succeeded.
    pub(super) failed: bool,
}

impl Missing {
    pub(super) fn of(submission: Submission) -> Self {
        Self {
            submission,
            dated: true,
            foreign: false,
            running: false,
            failed: false,
        }
    }

    pub(super) fn failing(self) -> Self {
        Self {
            failed: true,
            ..self
        }
    }

    pub(super) fn job_id(&self) -> &str {
        &self.submission.job_id
    }

    /// Returns the sort key for fetches. The nearest deadline comes first. Jobs past their deadline come last, the youngest of them
    /// first, because such a job may have run for hours. A job that failed before comes after the others, so that a few jobs that
    /// always fail do not delay all others.
    pub(super) fn turn(&self, now: SystemTime) -> (bool, bool, bool, Duration) {
        let left = self.left(now);
        let is_past = left.is_zero();
        let order = if is_past { self.age(now) } else { left };
        (is_past, self.failed, self.dated, order)
    }

    /// Returns the time since the submission.
    pub(super) fn age(&self, now: SystemTime) -> Duration {
        let submitted_at = self.submission.submitted_at;
        now.duration_since(submitted_at).unwrap_or_default()
    }

    /// Returns how long the output exists at least. pyannoteAI deletes an output 24 h after the job's end, and the end is after the
    /// submission.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        OUTPUT_KEPT.saturating_sub(self.age(now))
    }

    /// Returns whether the webhook may still arrive.
    pub(super) fn is_young(&self, now: SystemTime, grace: Duration) -> bool {
        self.dated && self.age(now) < grace
    }

    /// Returns whether pyannoteAI may delete the output within an hour.
    pub(super) fn is_urgent(&self, now: SystemTime) -> bool {
        let left = self.left(now);
        !self.running && !left.is_zero() && left <= URGENT
    }

    /// Returns whether the job is too old to have an output.
    pub(super) fn is_hopeless(&self, now: SystemTime) -> bool {
        self.dated && self.age(now) >= HOPELESS
    }
}

/// The outcome of one job's fetch.
#[derive(Debug)]
pub(super) enum Fetched {
    New,
    Duplicate,
    /// The job has not ended.
    Pending,
    Lost,
    /// The output was deleted before this inbox knew the job.
    Expired,
    Failed(Cause),
}

/// The jobs that a failure concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The job alone.
    Job,
    /// Possibly every job, because the service may be down.
    Service,
    /// Every job.
    Key,
}

/// How long the API has the output of a job.
pub(super) const OUTPUT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// A day, and the hours that a job may take. A job that was submitted earlier has no output.
pub(super) const LISTED: Duration = Duration::from_secs(30 * 60 * 60);

const URGENT: Duration = Duration::from_secs(60 * 60);

/// Two days, which no job takes, and one day for which the API keeps an output.
const HOPELESS: Duration = Duration::from_secs(3 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::record::OwnData;

    fn job(hours: u64) -> (Missing, SystemTime) {
        let submitted_at = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        let missing = Missing::of(Submission {
            job_id: "a".into(),
            kind: None,
            status_only: false,
            submitted_at,
            own: OwnData::default(),
            trace: None,
        });
        (missing, submitted_at + Duration::from_secs(hours * 3_600))
    }

    #[test]
    fn a_job_is_urgent_in_the_last_hour_of_its_output() {
        for (hours, urgent) in [
            (0, false),
            (22, false),
            (23, true),
            (24, false),
            (90, false),
        ] {
            let (job, now) = job(hours);
            assert_eq!(job.is_urgent(now), urgent, "{hours}");
        }
        let (mut job, now) = job(23);
        job.running = true;
        assert!(!job.is_urgent(now));
    }

    #[test]
    fn the_order_is_nearest_deadline_then_failed_then_expired() {
        let (_, now) = job(26);
        let named = |name: &str, minutes: u64, dated, failed| {
            let (mut job, _) = job(0);
            job.submission.job_id = name.into();
            job.submission.submitted_at += Duration::from_secs(60 * minutes);
            (job.dated, job.failed) = (dated, failed);
            job
        };
        let mut jobs = [
            named("past", 0, true, false),
            named("just past", 120, true, false),
            named("failed", 121, true, true),
            named("newer", 140, true, false),
            named("older", 130, true, false),
            named("undated", 150, false, false),
        ];
        jobs.sort_by_key(|job| job.turn(now));
        let names = jobs.each_ref().map(Missing::job_id);
        let expected = ["undated", "older", "newer", "failed", "just past", "past"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_clock_that_is_behind_makes_a_job_young() {
        let (job, submitted_at) = job(0);
        let before = submitted_at - Duration::from_secs(60);
        assert!(job.is_young(before, Duration::from_secs(1)));
        assert_eq!(job.left(before), OUTPUT_KEPT);
        assert!(!job.is_hopeless(before));
    }
}
