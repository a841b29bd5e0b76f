use std::time::{Duration, SystemTime};

use super::{Reconciler, telemetry};
use crate::{InboxError, UnansweredSubmission};
use pyannoteai_client::JobSummary;
use tower_pyannote::event::Text;

/// The submissions whose answer was lost, and the listed jobs that they may have created.
pub(super) struct Unanswered {
    total: usize,
    /// Those that were not logged before.
    new: Vec<(UnansweredSubmission, Vec<Text>)>,
}

impl Unanswered {
    pub(super) async fn read(reconciler: &mut Reconciler) -> Result<Self, InboxError> {
        let all = reconciler.inbox.unanswered_submissions().await?;
        let logged = &mut reconciler.unanswered;
        logged.retain(|id| all.iter().any(|submission| submission.id == *id));
        let total = all.len();
        let new = all.into_iter().filter(|one| !logged.contains(&one.id));
        Ok(Self {
            total,
            new: new.map(|submission| (submission, Vec::new())).collect(),
        })
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Notes which listed jobs were created while an answer was awaited.
    pub(super) fn note(&mut self, items: &[JobSummary]) {
        for (submission, candidates) in &mut self.new {
            let from = submission.begun_at - SKEW;
            let to = submission.ended_at + SKEW;
            let created = |job: &JobSummary| SystemTime::try_from(job.created_at?).ok();
            let fits = |job: &&JobSummary| {
                created(job).is_some_and(|created| from <= created && created <= to)
            };
            let room = MOST_CANDIDATES.saturating_sub(candidates.len());
            let fitting = items.iter().filter(fits).take(room);
            candidates.extend(fitting.map(|job| job.job_id.clone()));
        }
    }

    /// Logs each submission once, with the candidates that are not known to be from another submission.
    pub(super) async fn report(self, reconciler: &mut Reconciler) -> Result<(), InboxError> {
        for (submission, mut candidates) in self.new {
            let recorded = reconciler.inbox.recorded(&candidates).await?;
            let mut recorded = recorded.into_iter();
            candidates.retain(|_| !recorded.next().unwrap_or_default());
            telemetry::unanswered(&submission, &candidates);
            reconciler.unanswered.insert(submission.id);
        }
        Ok(())
    }
}

/// The difference between the clocks of the database and of pyannoteAI, at most.
const SKEW: Duration = Duration::from_secs(60);

/// More than a person compares.
const MOST_CANDIDATES: usize = 20;
