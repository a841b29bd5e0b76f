//! The jobs that the API lists.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use super::{
    job::{LISTED, Missing},
    pass::{PAGE, Pass, count},
    unanswered::Unanswered,
};
use crate::{
    InboxError,
    record::{OwnData, Submission},
};
use pyannoteai_client::{JobSummary, ListJobs};
use tower_pyannote::event::Text;

impl Pass<'_> {
    /// Adds the missing jobs that the API lists. Returns the date of the newest listed job, or `None` if not all were listed.
    pub(super) async fn list(
        &mut self,
        jobs: &mut HashMap<Text, Missing>,
        unanswered: &mut Unanswered,
    ) -> Option<SystemTime> {
        let oldest = self.now.checked_sub(LISTED)?;
        let from = match self.reconciler.listed_until {
            Some(date) => oldest.max(date.checked_sub(OVERLAP)?),
            None => oldest,
        };
        let list = ListJobs::new().with_limit(PAGE).ok()?;
        let mut pages = self.reconciler.client.job_pages(list);
        let mut newest = from;
        loop {
            let page = match pages.next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Some(newest),
                Err(error) => {
                    self.api_failed("list jobs", &error);
                    return None;
                }
            };
            let date = |job: &JobSummary| job.created_at.and_then(|date| date.try_into().ok());
            let is_last = page
                .items
                .last()
                .and_then(date)
                .is_some_and(|date| date < from);
            let mut items = page.items;
            items.retain(|job| date(job).is_none_or(|date| date >= from));
            self.report.listed += count(items.len());
            unanswered.note(&items);
            newest = items.iter().filter_map(date).fold(newest, SystemTime::max);
            if let Err(error) = self.add(jobs, items).await {
                self.failed("look jobs up", &error);
                return None;
            }
            if is_last {
                return Some(newest);
            }
        }
    }

    async fn add(
        &mut self,
        jobs: &mut HashMap<Text, Missing>,
        items: Vec<JobSummary>,
    ) -> Result<(), InboxError> {
        let ids: Vec<Text> = items.iter().map(|job| job.job_id.clone()).collect();
        let settled = self.reconciler.inbox.settled(&ids).await?;
        for (item, settled) in items.into_iter().zip(settled) {
            if settled {
                // The event may have arrived after the submissions were read.
                jobs.remove(&item.job_id);
                continue;
            }
            let running = !item.status.is_terminal();
            let created_at = item.created_at.and_then(|date| date.try_into().ok());
            let job = jobs.entry(item.job_id.clone()).or_insert_with(|| Missing {
                submission: Submission {
                    job_id: item.job_id,
                    kind: None,
                    status_only: false,
                    submitted_at: created_at.unwrap_or(self.now),
                    own: OwnData::default(),
                    trace: None,
                },
                dated: created_at.is_some(),
                foreign: self.reconciler.listed_until.is_none(),
                running,
                failed: false,
            });
            job.running = running;
        }
        Ok(())
    }
}

/// Dates in a list may be out of order by a little.
const OVERLAP: Duration = Duration::from_secs(10 * 60);
