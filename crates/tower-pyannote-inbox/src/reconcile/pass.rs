use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    ReconcileReport, Reconciler,
    fetch::fetch,
    job::{Cause, Fetched, LISTED, Missing},
    telemetry,
    unanswered::Unanswered,
};
use crate::{
    InboxError,
    record::{OwnData, Submission},
};
use pyannoteai_client::{ClientError, JobSummary, ListJobs};
use tower_pyannote::event::Text;

pub(super) async fn run(reconciler: &mut Reconciler) -> ReconcileReport {
    let begun = Instant::now();
    let mut pass = Pass {
        now: reconciler.client.now(),
        reconciler,
        report: ReconcileReport::default(),
    };
    pass.run().await;
    let report = pass.report;
    telemetry::passed(&report, begun.elapsed());
    report
}

struct Pass<'a> {
    reconciler: &'a mut Reconciler,
    now: SystemTime,
    report: ReconcileReport,
}

impl Pass<'_> {
    async fn run(&mut self) {
        let awaited = match self.reconciler.inbox.awaited().await {
            Ok(awaited) => awaited,
            // Of what the API lists, too, the inbox could not say whether it is there.
            Err(error) => return self.failed("read submissions", &error),
        };
        self.report.awaited = count(awaited.len());
        let awaited = awaited.into_iter().map(Missing::of);
        let mut jobs: HashMap<Text, Missing> = awaited
            .map(|job| (job.submission.job_id.clone(), job))
            .collect();
        // A copy, as this pass may end before its own is made.
        for (job_id, left) in self.reconciler.left.clone() {
            match jobs.entry(job_id) {
                // The record knows more of the submission than a list does.
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    (known.running, known.failed) = (left.running, left.failed);
                }
                Entry::Vacant(place) => {
                    place.insert(left);
                }
            }
        }
        if let Err(error) = self.forget_settled(&mut jobs).await {
            return self.failed("look jobs up", &error);
        }

        let mut unanswered = match Unanswered::read(self.reconciler).await {
            Ok(unanswered) => unanswered,
            Err(error) => return self.failed("read unanswered submissions", &error),
        };
        self.report.unanswered = count(unanswered.total());
        let listed = match self.reconciler.listing {
            true => self.list(&mut jobs, &mut unanswered).await,
            false => None,
        };
        // After a list that broke off, the next pass knows more.
        if listed.is_some() || !self.reconciler.listing {
            let reported = unanswered.report(self.reconciler).await;
            if let Err(error) = reported {
                self.failed("look jobs up", &error);
            }
        }
        let warned = &mut self.reconciler.warned;
        warned.retain(|job_id| jobs.contains_key(job_id));
        let (due, early) = self.part(jobs);
        let left = self.fetch(due).await;
        self.remember(listed, early, left);
    }

    /// Removes those whose event came since the last pass.
    async fn forget_settled(&self, jobs: &mut HashMap<Text, Missing>) -> Result<(), InboxError> {
        let ids: Vec<Text> = jobs.keys().cloned().collect();
        for ids in ids.chunks(PAGE.into()) {
            let settled = self.reconciler.inbox.settled(ids).await?;
            for (id, _) in ids.iter().zip(settled).filter(|(_, settled)| *settled) {
                jobs.remove(id);
            }
        }
        Ok(())
    }

    /// Notes where the next pass begins. What was not fetched is remembered one by one; of what was not yet due the list
    /// tells again.
    fn remember(&mut self, listed: Option<SystemTime>, early: Vec<Missing>, left: Vec<Missing>) {
        let now = self.now;
        let (slow, early): (Vec<_>, Vec<_>) =
            early.into_iter().partition(|job| job.age(now) >= SLOW);
        let early = early.iter().map(|job| job.submission.submitted_at);
        self.reconciler.listed_until = listed.map(|newest| early.fold(newest, SystemTime::min));
        let left = left.into_iter().chain(slow).map(|mut job| {
            (job.running, job.foreign) = (false, false);
            (job.submission.job_id.clone(), job)
        });
        self.reconciler.left = left.collect();
    }

    /// Adds the jobs that the API lists and that are missing; says when the newest of all was created, if all were listed.
    async fn list(
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
                // Perhaps since the submissions were read.
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

    /// Parts what is to be fetched, the nearest deadline first, from what is not.
    fn part(&mut self, jobs: HashMap<Text, Missing>) -> (Vec<Missing>, Vec<Missing>) {
        let (now, grace) = (self.now, self.reconciler.grace);
        let is_due =
            |job: &Missing| !job.is_young(now, grace) && (!job.running || job.is_hopeless(now));
        let (mut due, early): (Vec<_>, Vec<_>) = jobs.into_values().partition(is_due);
        self.report.missing = count(due.len());
        self.report.pending = count(early.len());
        due.sort_by_key(|job| job.turn(now));
        (due, early)
    }

    /// Fetches jobs, a few at a time; gives those that are still missing.
    async fn fetch(&mut self, due: Vec<Missing>) -> Vec<Missing> {
        let mut due = VecDeque::from(due);
        let mut left = Vec::new();
        // Jobs that failed since the last answer, because of the job or because the service is down.
        let mut failures = Vec::new();
        // Those that had their second try, or have it next.
        let mut retried = HashSet::new();
        let mut running = FuturesUnordered::new();
        let (mut is_answered, mut is_refused, mut is_probed) = (false, false, false);
        let mut warned: Option<Instant> = None;
        loop {
            if warned.is_none_or(|at| at.elapsed() >= WARN_EVERY) {
                self.warn(due.iter().chain(&left).chain(&failures));
                warned = Some(Instant::now());
            }
            while !is_refused && running.len() < AT_ONCE {
                let job = match failures.len() {
                    ..MOST_FAILURES => due.pop_front(),
                    _ if running.is_empty() && !is_probed => {
                        is_probed = true;
                        self.probe(&mut due)
                    }
                    _ => None,
                };
                let Some(job) = job else { break };
                let (client, inbox) = (&self.reconciler.client, &self.reconciler.inbox);
                running.push(fetch(client.clone(), inbox.clone(), job));
            }
            let Some((mut job, fetched)) = running.next().await else {
                break;
            };
            self.note(&job, &fetched);
            match fetched {
                Fetched::Failed(Cause::Service) => {
                    failures.push(job);
                    continue;
                }
                Fetched::Failed(Cause::Key) => {
                    is_refused = true;
                    left.push(job);
                    continue;
                }
                // Perhaps the API was not asked.
                Fetched::Duplicate => continue,
                Fetched::New | Fetched::Lost | Fetched::Expired => {}
                Fetched::Pending | Fetched::Failed(Cause::Job) => {
                    job.failed = matches!(fetched, Fetched::Failed(_));
                    left.push(job);
                }
            }
            // The service is there. Those may fail for themselves, or it was away for a moment: the next in turn would be the
            // first to be lost if they had to wait for all others.
            for job in failures.drain(..).rev() {
                if retried.insert(job.submission.job_id.clone()) {
                    self.report.failed -= 1;
                    due.push_front(job);
                } else {
                    left.push(job.failing());
                }
            }
            (is_answered, is_probed) = (true, false);
        }
        let is_broken_off = is_refused || failures.len() >= MOST_FAILURES;
        if is_broken_off && !due.is_empty() {
            telemetry::broken_off(due.len());
        }
        // Where the service is down, none may lose its turn by that.
        match is_answered && !is_broken_off {
            true => left.extend(failures.into_iter().map(Missing::failing)),
            false => left.extend(failures),
        }
        left.extend(due);
        left
    }

    /// Takes the job that is to show whether the service is down or only the jobs before it fail: in each pass another one,
    /// from those that did not fail before, if there are any.
    fn probe(&mut self, due: &mut VecDeque<Missing>) -> Option<Missing> {
        let (sound, failing): (Vec<_>, Vec<_>) = (0..due.len())
            .rev()
            .partition(|index| due.get(*index).is_some_and(|job| !job.failed));
        let jobs = if sound.is_empty() { failing } else { sound };
        let index = jobs.get(self.reconciler.probes.checked_rem(jobs.len())?)?;
        self.reconciler.probes = self.reconciler.probes.wrapping_add(1);
        due.remove(*index)
    }

    fn note(&mut self, job: &Missing, fetched: &Fetched) {
        telemetry::fetched(job, fetched);
        let count = match fetched {
            Fetched::New => &mut self.report.new,
            Fetched::Duplicate => &mut self.report.duplicates,
            Fetched::Pending => &mut self.report.pending,
            Fetched::Lost => &mut self.report.lost,
            Fetched::Expired => &mut self.report.expired,
            Fetched::Failed(_) => {
                self.report.errors += 1;
                &mut self.report.failed
            }
        };
        *count += 1;
    }

    /// Warns, once each, of the jobs whose output is deleted within the hour.
    fn warn<'a>(&mut self, missing: impl Iterator<Item = &'a Missing>) {
        let now = self.reconciler.client.now();
        for job in missing.filter(|job| job.is_urgent(now)) {
            if self.reconciler.warned.insert(job.submission.job_id.clone()) {
                telemetry::urgent(job, job.left(now));
            }
        }
    }

    fn failed(&mut self, what: &'static str, error: &InboxError) {
        self.report.errors += 1;
        telemetry::failed(what, error);
    }

    fn api_failed(&mut self, what: &'static str, error: &ClientError) {
        self.report.errors += 1;
        telemetry::failed(what, error);
    }
}

fn count(jobs: usize) -> u64 {
    u64::try_from(jobs).unwrap_or(u64::MAX)
}

const PAGE: u8 = 100;

/// Dates in a list may be out of order by a little.
const OVERLAP: Duration = Duration::from_secs(10 * 60);

/// A job that takes this long is fetched by its id, so that a pass need not read the list that far back.
const SLOW: Duration = Duration::from_secs(3 * 60 * 60);

/// While a long queue of jobs is worked off, one of them may come to its last hour.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Fetches under way: one that hangs does not hold up the others, and each may take the memory of an output.
const AT_ONCE: usize = 4;

/// After so many in a row it is no matter of single jobs.
const MOST_FAILURES: usize = 8;
