//! What an inbox may do.

use std::collections::{BTreeMap, BTreeSet};

use tower_pyannote_inbox::{StoreCall, StoreWrite};

use crate::{
    command::{LATER, Verdict},
    database::{Event, Snapshot},
    delivery::Delivery,
    gate::{HANDLERS, News},
};

/// What is known beside the tables.
#[derive(Default)]
pub(crate) struct Model {
    /// The workers' names in the tables.
    pub(crate) names: BTreeMap<usize, String>,
    attempts: Vec<Attempt>,
    /// The handlers that run, with their attempt.
    runs: BTreeMap<usize, (usize, &'static str)>,
    /// The handlers that have succeeded since an event was replayed.
    done: BTreeMap<i64, BTreeSet<&'static str>>,
}

/// An attempt that a worker knows of.
struct Attempt {
    worker: usize,
    event: i64,
    /// The fencing token of its claim.
    claim: i64,
    /// The event when it was claimed.
    claimed: Event,
    ran: BTreeMap<&'static str, Option<Verdict>>,
}

/// What may have changed the tables.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause<'a> {
    Nothing,
    Delivery(Delivery),
    Call { worker: usize, holds: &'a StoreCall },
    Replay { event: i64, all: bool },
    Prune { hours: i64 },
}

/// A part of a cause, by which an event changes at most once.
#[derive(Clone, Copy)]
enum Step<'a> {
    Delivery(Delivery),
    Write(usize, &'a [StoreWrite]),
    Claim(usize),
    KeepAlive(usize),
    Release(usize, &'a [i64]),
    Replay { event: i64, all: bool },
    Prune { hours: i64 },
}

#[derive(Debug, PartialEq)]
enum End {
    Handled,
    Retry { minutes: u64 },
    Dead,
    Exhausted,
}

impl<'a> Cause<'a> {
    /// The steps, in the order of the transaction.
    fn steps(self) -> Vec<Step<'a>> {
        let (worker, holds) = match self {
            Cause::Nothing => return Vec::new(),
            Cause::Delivery(delivery) => return vec![Step::Delivery(delivery)],
            Cause::Replay { event, all } => return vec![Step::Replay { event, all }],
            Cause::Prune { hours } => return vec![Step::Prune { hours }],
            Cause::Call { worker, holds } => (worker, holds),
        };
        match holds.name {
            "transact" => {
                let delivery = |body| Step::Delivery(Delivery::of_body(body));
                let mut steps: Vec<_> = holds.bodies.iter().map(|body| delivery(body)).collect();
                steps.push(Step::Write(worker, &holds.writes));
                steps.extend((holds.places > 0).then_some(Step::Claim(worker)));
                steps
            }
            "keep_alive" => vec![Step::KeepAlive(worker)],
            "release" => vec![Step::Release(worker, &holds.held)],
            _ => Vec::new(),
        }
    }
}

impl Model {
    /// Checks that each change has one of the causes as its reason.
    pub(crate) fn check(&mut self, before: &Snapshot, after: &Snapshot, causes: &[Cause<'_>]) {
        let ids: BTreeSet<_> = before.events.keys().chain(after.events.keys()).collect();
        for &id in ids {
            let (old, new) = (before.events.get(&id), after.events.get(&id));
            if old == new {
                continue;
            }
            let states = states(old, new);
            let mut orders = vec![causes.to_vec(), causes.iter().rev().copied().collect()];
            let is_explained = orders.drain(..).any(|order| {
                let mut reached = vec![old];
                for step in order.into_iter().flat_map(Cause::steps) {
                    let next = states.iter().map(Option::as_ref).filter(|next| {
                        let mut froms = reached.iter();
                        reached.contains(next)
                            || froms
                                .any(|from| self.explains(step, id, *from, *next, before, after))
                    });
                    reached = next.collect();
                }
                reached.contains(&new)
            });
            assert!(is_explained, "{causes:?} changed {old:#?} to {new:#?}");
            for cause in causes {
                if let Cause::Replay { event, all } = *cause {
                    let was_handled = old.is_some_and(|old| old.state == "handled");
                    if event == id && (all || was_handled) {
                        self.done.remove(&id);
                    }
                }
            }
        }
        for event in after.events.values() {
            let others = || after.events.values().filter(|other| other.job == event.job);
            let running = others().filter(|mate| mate.state == "running").count();
            assert!(running <= 1, "{running} events of {} run", event.job);
            let equals = others().filter(|other| other.status == event.status);
            assert_eq!(equals.count(), 1, "{event:?} is stored twice");
        }
        check_order(before, after);
        for worker in self.names.keys() {
            let begun = self.attempts.iter().enumerate().filter(|(place, attempt)| {
                attempt.worker == *worker && self.has_its_event(*place, after)
            });
            let events = begun.count();
            assert!(
                events <= CONCURRENCY,
                "worker {worker} handles {events} events"
            );
        }
    }

    /// Checks that a call that was not cut off did all that it has to.
    pub(crate) fn check_whole(&self, before: &Snapshot, after: &Snapshot, cause: Cause<'_>) {
        for step in cause.steps() {
            let expected: Vec<i64> = match step {
                Step::Delivery(delivery) => {
                    let mut events = after.events.values();
                    let stored = events.find(|event| delivery.is_of(event));
                    let stored = stored.unwrap_or_else(|| panic!("{delivery:?} is not stored"));
                    let is_kept = delivery.has_body_of(stored) || stored.conflicts == 1;
                    assert!(is_kept, "the conflict of {delivery:?} is not kept");
                    continue;
                }
                Step::Write(worker, writes) => ids(before, |id, event| {
                    let ends = |write: &StoreWrite| {
                        write.ends && (write.event, write.claim) == (id, event.claims)
                    };
                    self.is_claimed_by(worker, event) && writes.iter().any(ends)
                }),
                Step::Claim(worker) => {
                    let places = match cause {
                        Cause::Call { holds, .. } => holds.places,
                        _ => 0,
                    };
                    self.check_claimed(worker, places, before, after);
                    continue;
                }
                Step::KeepAlive(worker) => ids(before, |_, event| {
                    event.state == "running"
                        && event.worker.as_ref() != self.names.get(&worker)
                        && !is_alive(before, event.worker.as_ref())
                }),
                // A worker holds an event that it claimed again before it learnt that the last attempt is over.
                Step::Release(worker, held) => ids(before, |id, event| {
                    self.is_claimed_by(worker, event)
                        && self.attempt(worker, id, event.claims).is_none()
                        && !held.contains(&id)
                }),
                Step::Prune { hours } => ids(before, |_, event| is_prunable(before, event, hours)),
                Step::Replay { .. } => continue,
            };
            for id in expected {
                let key = |tables: &Snapshot| {
                    let event = tables.events.get(&id);
                    event.map(|event| (event.state.clone(), event.claims))
                };
                assert_ne!(
                    key(before),
                    key(after),
                    "{cause:?} left this event as it was: {:#?}",
                    before.events[&id]
                );
            }
        }
    }

    /// Checks that a claim took the first events that were due, and left a place free only if no other was.
    fn check_claimed(&self, worker: usize, places: usize, before: &Snapshot, after: &Snapshot) {
        let claimed = self.claimed(worker, before, after);
        let order = |id: i64| (after.events[&id].due_at, id);
        let last = claimed.iter().map(|(id, _)| order(*id)).max();
        let left = ids(after, |id, event| {
            event.state == "waiting" && event.due_at <= after.now && is_first(after, id, event)
        });
        let left = left.into_iter().map(order).min();
        assert!(claimed.len() <= places, "{claimed:#?} in {places} places");
        assert!(
            claimed.len() == places || left.is_none(),
            "only {claimed:#?} in {places} places, and {left:?} was due"
        );
        assert!(left.is_none() || last < left, "{last:?} before {left:?}");
    }

    /// The events that a call of a worker claimed.
    pub(crate) fn claimed(
        &self,
        worker: usize,
        before: &Snapshot,
        after: &Snapshot,
    ) -> Vec<(i64, Event)> {
        let events = after.events.iter().filter(|(id, event)| {
            let old = before.events.get(id);
            let is_new = old.is_none_or(|old| old.claims != event.claims);
            is_new && self.is_claimed_by(worker, event)
        });
        events.map(|(id, event)| (*id, event.clone())).collect()
    }

    fn explains(
        &self,
        step: Step<'_>,
        id: i64,
        old: Option<&Event>,
        new: Option<&Event>,
        before: &Snapshot,
        after: &Snapshot,
    ) -> bool {
        let (old, new) = match (step, old, new) {
            (Step::Delivery(delivery), None, Some(new)) => {
                let is_fresh = (&*new.state, new.attempts, new.claims, new.conflicts)
                    == ("waiting", 0, 0, 0)
                    && (&new.worker, new.finished_at) == (&None, None)
                    && new.results.is_empty();
                let is_due = is_about(new.due_at - new.queued_at, 0);
                return delivery.is_of(new) && delivery.has_body_of(new) && is_fresh && is_due;
            }
            (Step::Prune { hours }, Some(old), None) => return is_prunable(after, old, hours),
            (_, Some(old), Some(new)) => (old, new),
            _ => return false,
        };
        match step {
            Step::Delivery(delivery) => {
                let conflict = Event {
                    conflicts: 1,
                    ..old.clone()
                };
                delivery.is_of(old) && !delivery.has_body_of(old) && *new == conflict
            }
            Step::Replay { event, all } => {
                let mut results = old.results.clone();
                results.retain(|_, failed| !all && !*failed);
                let replayed = Event {
                    state: "waiting".to_owned(),
                    attempts: 0,
                    finished_at: None,
                    results,
                    ..at(old, new)
                };
                event == id
                    && old.state != "running"
                    && is_about(new.due_at - new.queued_at, 0)
                    && *new == replayed
            }
            Step::Claim(worker) => {
                let claimed = Event {
                    state: "running".to_owned(),
                    worker: self.names.get(&worker).cloned(),
                    claims: old.claims + 1,
                    ..at(old, new)
                };
                let delay = old.due_at - old.queued_at;
                let is_rebased =
                    old.queued_at > before.now && is_about(new.due_at - new.queued_at, delay);
                let is_same = (old.queued_at, old.due_at) == (new.queued_at, new.due_at);
                let is_due = new.due_at <= after.now && is_first(after, id, new);
                old.state == "waiting"
                    && (is_same || is_rebased)
                    && (*new == at(old, new) || *new == claimed && is_due)
            }
            Step::KeepAlive(worker) => {
                let taken = Event {
                    state: "waiting".to_owned(),
                    attempts: old.attempts + 1,
                    claims: old.claims + 1,
                    worker: None,
                    ..at(old, new)
                };
                let is_own = old.worker.as_ref() == self.names.get(&worker);
                old.state == "running"
                    && !is_own
                    && !is_alive(before, old.worker.as_ref())
                    && *new == taken
                    && new.due_at <= after.now
            }
            Step::Release(worker, held) => {
                let released = Event {
                    state: "waiting".to_owned(),
                    claims: old.claims + 1,
                    worker: None,
                    ..old.clone()
                };
                let attempt = self.attempt(worker, id, old.claims);
                let runs = self.runs.values().any(|(run, _)| Some(*run) == attempt);
                self.is_claimed_by(worker, old) && !runs && !held.contains(&id) && *new == released
            }
            Step::Write(worker, writes) => {
                let attempt = self.attempt(worker, id, old.claims);
                let attempt = attempt.filter(|_| self.is_claimed_by(worker, old));
                let write = writes
                    .iter()
                    .find(|write| (write.event, write.claim) == (id, old.claims));
                attempt.zip(write).is_some_and(|(attempt, write)| {
                    self.may_write(&self.attempts[attempt], write.ends, old, new)
                })
            }
            Step::Prune { .. } => false,
        }
    }

    /// Whether an attempt that has its event may write this.
    fn may_write(&self, attempt: &Attempt, ends: bool, old: &Event, new: &Event) -> bool {
        let mut results = new.results.iter();
        let are_results_sound = results.all(|(handler, failed)| {
            let verdict = attempt.ran.get(&**handler).copied().flatten();
            let expected = if *failed {
                Verdict::Permanent
            } else {
                Verdict::Done
            };
            old.results.get(handler) == Some(failed) || verdict == Some(expected)
        }) && old
            .results
            .keys()
            .all(|handler| new.results.contains_key(handler) || new.state == "handled");
        let (state, attempts) = match attempt.end() {
            _ if !ends => ("running", old.attempts),
            None => return false,
            Some(End::Handled) => {
                let done = self.done.get(&attempt.event).map_or(0, BTreeSet::len);
                assert_eq!(
                    done,
                    HANDLERS.len(),
                    "handled, although a handler did not succeed"
                );
                ("handled", old.attempts)
            }
            Some(End::Retry { minutes }) => {
                let delay = i64::try_from(minutes).unwrap() * 60_000_000_000;
                if !is_about(new.due_at - new.queued_at, delay) {
                    return false;
                }
                ("waiting", old.attempts + 1)
            }
            Some(End::Dead) => ("dead", old.attempts + 1),
            Some(End::Exhausted) => ("dead", old.attempts),
        };
        let written = Event {
            state: state.to_owned(),
            attempts,
            worker: old.worker.clone().filter(|_| state == "running"),
            results: new.results.clone(),
            finished_at: new.finished_at,
            ..at(old, new)
        };
        let is_finished = matches!(state, "handled" | "dead");
        are_results_sound
            && *new == written
            && new.finished_at.is_some() == is_finished
            && (state != "handled" || new.results.is_empty())
    }

    /// Notes the events that a claim handed out, now that the worker knows of them.
    pub(crate) fn begins(&mut self, worker: usize, claimed: Vec<(i64, Event)>) {
        for (event, claimed) in claimed {
            self.attempts.push(Attempt {
                worker,
                event,
                claim: claimed.claims,
                claimed,
                ran: BTreeMap::new(),
            });
        }
    }

    /// Notes what handlers did, and checks that they may run.
    pub(crate) fn hears(&mut self, news: News, tables: &Snapshot) {
        let (run, worker, handler, number) = match &news {
            News::CutOff { run } => return self.ends(*run, Verdict::Retry),
            News::Began {
                run,
                worker,
                handler,
                attempt,
                ..
            } => (*run, *worker, *handler, *attempt),
        };
        let News::Began { job, status, .. } = &news else {
            return;
        };
        let is_it = |attempt: &Attempt| {
            let claimed = &attempt.claimed;
            let is_event = (&claimed.job, &claimed.status) == (job, status);
            attempt.worker == worker && is_event && claimed.attempts + 1 == i64::from(number)
        };
        let place = self.attempts.iter().rposition(is_it);
        let place = place.unwrap_or_else(|| panic!("a handler runs without a claim: {news:?}"));
        let attempt = &self.attempts[place];
        let is_settled = attempt.claimed.results.contains_key(handler);
        assert!(!is_settled, "a settled handler runs again: {news:?}");
        assert!(
            !attempt.ran.contains_key(handler),
            "a handler runs twice: {news:?}"
        );
        if self.has_its_event(place, tables) {
            let overlap = self.runs.values().find(|(other, _)| {
                self.attempts[*other].claimed.job == *job && self.has_its_event(*other, tables)
            });
            assert_eq!(overlap, None, "two events of a job run: {news:?}");
            for (earlier, verdict) in &attempt.ran {
                let is_kept = tables.events[&attempt.event].results.contains_key(*earlier);
                let is_settled = matches!(verdict, Some(Verdict::Done | Verdict::Permanent));
                assert_eq!(is_kept, is_settled, "the result of {earlier}: {news:?}");
            }
        }
        self.runs.insert(run, (place, handler));
        self.attempts[place].ran.insert(handler, None);
    }

    /// Notes how a handler ended.
    pub(crate) fn ends(&mut self, run: usize, verdict: Verdict) {
        let Some((place, handler)) = self.runs.remove(&run) else {
            return;
        };
        let attempt = &mut self.attempts[place];
        attempt.ran.insert(handler, Some(verdict));
        if verdict == Verdict::Done {
            self.done.entry(attempt.event).or_default().insert(handler);
        }
    }

    fn has_its_event(&self, attempt: usize, tables: &Snapshot) -> bool {
        let Attempt {
            worker,
            event,
            claim,
            ..
        } = self.attempts[attempt];
        let event = tables.events.get(&event);
        event.is_some_and(|event| self.is_claimed_by(worker, event) && event.claims == claim)
    }

    fn is_claimed_by(&self, worker: usize, event: &Event) -> bool {
        event.state == "running" && event.worker.as_ref() == self.names.get(&worker)
    }

    fn attempt(&self, worker: usize, event: i64, claim: i64) -> Option<usize> {
        self.attempts.iter().position(|attempt| {
            (attempt.worker, attempt.event, attempt.claim) == (worker, event, claim)
        })
    }
}

impl Attempt {
    /// How the attempt has to end; `None` while a handler is missing.
    fn end(&self) -> Option<End> {
        if self.claimed.attempts >= MAX_ATTEMPTS {
            return Some(End::Exhausted);
        }
        let mut verdicts = Vec::new();
        for handler in HANDLERS {
            verdicts.push(match self.claimed.results.get(handler) {
                Some(true) => Verdict::Permanent,
                Some(false) => Verdict::Done,
                None => self.ran.get(handler).copied().flatten()?,
            });
        }
        let is_last = self.claimed.attempts + 1 == MAX_ATTEMPTS;
        let has = |verdict| verdicts.contains(&verdict);
        Some(match (has(Verdict::RetryLater), has(Verdict::Retry)) {
            (true, _) | (_, true) if is_last => End::Dead,
            (true, _) => End::Retry { minutes: LATER },
            (_, true) => End::Retry { minutes: 0 },
            _ if has(Verdict::Permanent) => End::Dead,
            _ => End::Handled,
        })
    }
}

/// The old event, with the due time of the new one.
fn at(old: &Event, new: &Event) -> Event {
    Event {
        queued_at: new.queued_at,
        due_at: new.due_at,
        ..old.clone()
    }
}

/// What an event may have been between the steps of the causes.
fn states(old: Option<&Event>, new: Option<&Event>) -> Vec<Option<Event>> {
    let mut states = vec![old.cloned(), new.cloned()];
    let Some(new) = new else { return states };
    let was_waiting = Event {
        state: "waiting".to_owned(),
        worker: None,
        claims: new.claims - 1,
        ..new.clone()
    };
    for base in [Some(new), Some(&was_waiting), old].into_iter().flatten() {
        for other in [Some(new), old].into_iter().flatten() {
            for conflicts in [new.conflicts, old.map_or(0, |old| old.conflicts)] {
                states.push(Some(Event {
                    results: other.results.clone(),
                    conflicts,
                    ..base.clone()
                }));
            }
        }
    }
    states
}

/// PostgreSQL's clock moves during a statement.
fn is_about(delay: i64, expected: i64) -> bool {
    (expected..expected + 1_000_000_000).contains(&delay)
}

fn ids(tables: &Snapshot, fits: impl Fn(i64, &Event) -> bool) -> Vec<i64> {
    let events = tables.events.iter();
    events
        .filter(|(id, event)| fits(**id, event))
        .map(|(id, _)| *id)
        .collect()
}

/// Checks that no event was claimed while an earlier one of its job was unfinished.
fn check_order(before: &Snapshot, after: &Snapshot) {
    let is_unfinished = |tables: &Snapshot, id| {
        let event = tables.events.get(&id);
        event.is_some_and(|event| matches!(&*event.state, "waiting" | "running"))
    };
    for (id, event) in &after.events {
        let old = before.events.get(id);
        if event.state != "running" || old.is_some_and(|old| old.claims == event.claims) {
            continue;
        }
        let mates = ids(after, |other, mate| mate.job == event.job && other < *id);
        let mut mates = mates.into_iter();
        let overtaken =
            mates.find(|other| is_unfinished(before, *other) && is_unfinished(after, *other));
        assert_eq!(
            overtaken, None,
            "event {id} overtook an event of {}",
            event.job
        );
    }
}

/// Returns whether no other event of the job runs, and no earlier one waits.
fn is_first(tables: &Snapshot, id: i64, event: &Event) -> bool {
    !tables.events.iter().any(|(other, mate)| {
        let is_before = mate.state == "waiting" && *other < id;
        mate.job == event.job && *other != id && (mate.state == "running" || is_before)
    })
}

/// Whether a worker has a lease.
pub(crate) fn is_alive(tables: &Snapshot, worker: Option<&String>) -> bool {
    let lease = worker.and_then(|worker| tables.leases.get(worker));
    // A lease from before the clock was set back counts from now.
    lease.is_some_and(|lease| lease.renewed_at > tables.now || lease.expires_at > tables.now)
}

fn is_prunable(tables: &Snapshot, event: &Event, hours: i64) -> bool {
    let before = tables.now - hours * 3_600_000_000_000;
    event.state == "handled" && event.finished_at.is_some_and(|finished| finished < before)
}

pub(crate) const MAX_ATTEMPTS: i64 = 3;

/// The events that a worker may handle at the same time.
pub(crate) const CONCURRENCY: usize = 2;
