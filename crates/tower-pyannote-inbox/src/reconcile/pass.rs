use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    time::{Duration, Instant, SystemTime},
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    ReconcileReport, Reconciler,
    fetch::fetch,
    job::{Cause, Fetched, Missing},
    telemetry,
    unanswered::Unanswered,
};
use crate::InboxError;
use pyannoteai_client::ClientError;
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

/// A pass that runs.
pub(super) struct Pass<'a> {
    pub(super) reconciler: &'a mut Reconciler,
    pub(super) now: SystemTime,
    pub(super) report: ReconcileReport,
}

impl Pass<'_> {
    async fn run(&mut self) {
        let awaited = match self.reconciler.inbox.awaited().await {
            Ok(awaited) => awaited,
            // The inbox could not look up the jobs that the API lists, either.
            Err(error) => return self.failed("read submissions", &error),
        };
        self.report.awaited = count(awaited.len());
        let awaited = awaited.into_iter().map(Missing::of);
        let mut jobs: HashMap<Text, Missing> = awaited
            .map(|job| (job.submission.job_id.clone(), job))
            .collect();
        // A copy, because this pass may end before it remembers its own.
        for (job_id, left) in self.reconciler.left.clone() {
            match jobs.entry(job_id) {
                // A recorded submission has more data than a listed job.
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
        // After an incomplete list the next pass has more candidates.
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

    /// Removes the jobs whose event arrived since the last pass.
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

    /// Notes where the next pass begins: the jobs that were not fetched, and the date from which the list is read again for the
    /// jobs that were not due.
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

    /// Separates the jobs to fetch, the nearest deadline first, from the others.
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

    /// Fetches jobs, a few at a time. Returns the jobs that are still missing.
    async fn fetch(&mut self, due: Vec<Missing>) -> Vec<Missing> {
        let mut due = VecDeque::from(due);
        let mut left = Vec::new();
        // Jobs that failed since the last answer, because of the job or because the service is down.
        let mut failures = Vec::new();
        // Jobs with a second try, done or next.
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
                // The fetch may have ended before a request to the API.
                Fetched::Duplicate => continue,
                Fetched::New | Fetched::Lost | Fetched::Expired => {}
                Fetched::Pending | Fetched::Failed(Cause::Job) => {
                    job.failed = matches!(fetched, Fetched::Failed(_));
                    left.push(job);
                }
            }
            // The service answers. The failed jobs may be at fault themselves, or the service was down for a moment. They get one
            // more try at once, because their deadlines are the nearest.
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
        // If the service is down, the jobs keep their order.
        match is_answered && !is_broken_off {
            true => left.extend(failures.into_iter().map(Missing::failing)),
            false => left.extend(failures),
        }
        left.extend(due);
        left
    }

    /// Takes a job that shows whether the service is down or only the jobs before this one fail. Each pass takes another job, from
    /// those that did not fail before, if there are any.
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

    /// Warns once of each job whose output will be deleted within an hour.
    fn warn<'a>(&mut self, missing: impl Iterator<Item = &'a Missing>) {
        let now = self.reconciler.client.now();
        for job in missing.filter(|job| job.is_urgent(now)) {
            if self.reconciler.warned.insert(job.submission.job_id.clone()) {
                telemetry::urgent(job, job.left(now));
            }
        }
    }

    pub(super) fn failed(&mut self, what: &'static str, error: &InboxError) {
        self.report.errors += 1;
        telemetry::failed(what, error);
    }

    pub(super) fn api_failed(&mut self, what: &'static str, error: &ClientError) {
        self.report.errors += 1;
        telemetry::failed(what, error);
    }
}

pub(super) fn count(jobs: usize) -> u64 {
    u64::try_from(jobs).unwrap_or(u64::MAX)
}

/// Jobs in a page of the list, and in a look-up.
pub(super) const PAGE: u8 = 100;

/// A job that takes this long is fetched by its id, so that a pass need not read the list that far back.
const SLOW: Duration = Duration::from_secs(3 * 60 * 60);

/// A long pass warns more than once, because a job may come to its last hour meanwhile.
const WARN_EVERY: Duration = Duration::from_secs(60);

/// Fetches at the same time, so that one that hangs does not delay the others. Each may take the memory of an output.
const AT_ONCE: usize = 4;

/// After this many failures in a row the service counts as down.
const MOST_FAILURES: usize = 8;
