//! What an inbox may do.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    command::{LATER, Verdict},
    database::{Event, Snapshot},
    gate::{HANDLERS, News},
};

/// What is known beside the tables.
#[derive(Default)]
pub(crate) struct Model {
    /// The workers' names in the tables.
    pub(crate) names: BTreeMap<usize, String>,
    /// Which body was delivered first, by event.
    bodies: BTreeMap<i64, bool>,
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
    Delivery {
        key: (&'a str, &'a str),
        other_body: bool,
    },
    Call {
        worker: usize,
        name: &'static str,
    },
    Replay {
        event: i64,
        all: bool,
    },
    Prune {
        hours: i64,
    },
}

#[derive(Debug, PartialEq)]
enum End {
    Handled,
    Retry { minutes: u64 },
    Dead,
    Exhausted,
}

impl Model {
    /// Checks that each change has one of the causes as its reason.
    pub(crate) fn check(&mut self, before: &Snapshot, after: &Snapshot, causes: &[Cause<'_>]) {
        let ids: BTreeSet<_> = before.events.keys().chain(after.events.keys()).collect();
        for &id in ids {
            let (old, new) = (before.events.get(&id), after.events.get(&id));
            let is_explained = old == new || {
                let step = |cause: &Cause<'_>, old: Option<&Event>, new: Option<&Event>| {
                    self.explains(*cause, id, old, new, before, after)
                };
                causes.iter().any(|cause| step(cause, old, new))
                    || between(old, new).iter().any(|middle| {
                        let [one, other] = causes else { return false };
                        let middle = Some(middle);
                        step(one, old, middle) && step(other, middle, new)
                            || step(other, old, middle) && step(one, middle, new)
                    })
            };
            assert!(is_explained, "{causes:?} changed {old:#?} to {new:#?}");
            for cause in causes {
                match (*cause, new) {
                    (Cause::Delivery { other_body, .. }, Some(_)) if old.is_none() => {
                        self.bodies.insert(id, other_body);
                    }
                    (Cause::Replay { event, all }, _) if event == id => {
                        let was_handled = old.is_some_and(|old| old.state == "handled");
                        if old != new && (all || was_handled) {
                            self.done.remove(&id);
                        }
                    }
                    _ => {}
                }
            }
        }
        for event in after.events.values() {
            let mates = after.events.values().filter(|other| other.job == event.job);
            let running = mates.filter(|mate| mate.state == "running").count();
            assert!(running <= 1, "{running} events of {} run", event.job);
        }
    }

    /// Checks that a call that was not cut off did all that it has to.
    pub(crate) fn check_whole(&self, before: &Snapshot, after: &Snapshot, cause: Cause<'_>) {
        let expected: Vec<i64> = match cause {
            Cause::Call { name: "claim", .. } => {
                let claims = |(id, old): (&i64, &Event)| old.state != after.events[id].state;
                if before.events.iter().any(claims) {
                    return;
                }
                ids(before, |id, event| {
                    event.state == "waiting"
                        && event.due_at <= before.now
                        && is_first(before, id, event)
                })
            }
            Cause::Call {
                worker,
                name: "keep_alive",
            } => ids(before, |_, event| {
                event.state == "running"
                    && event.worker.as_ref() != self.names.get(&worker)
                    && !is_alive(before, event)
            }),
            Cause::Call {
                worker,
                name: "release",
            } => ids(before, |id, event| {
                self.is_claimed_by(worker, event)
                    && self.attempt(worker, id, event.claims).is_none()
            }),
            Cause::Prune { hours } => ids(before, |_, event| is_prunable(before, event, hours)),
            _ => return,
        };
        for id in expected {
            let (old, new) = (before.events.get(&id), after.events.get(&id));
            assert_ne!(old, new, "{cause:?} left this event as it was");
        }
    }

    fn explains(
        &self,
        cause: Cause<'_>,
        id: i64,
        old: Option<&Event>,
        new: Option<&Event>,
        before: &Snapshot,
        after: &Snapshot,
    ) -> bool {
        let (old, new) = match (cause, old, new) {
            (Cause::Delivery { key, .. }, None, Some(new)) => {
                return key == (&new.job, &new.status)
                    && (&*new.state, new.attempts, new.claims, new.conflicts)
                        == ("waiting", 0, 0, 0)
                    && new.results.is_empty();
            }
            (Cause::Prune { hours }, Some(old), None) => return is_prunable(after, old, hours),
            (_, Some(old), Some(new)) => (old, new),
            _ => return false,
        };
        match cause {
            Cause::Delivery { key, other_body } => {
                let conflict = Event {
                    conflicts: 1,
                    ..old.clone()
                };
                key == (&old.job, &old.status) && self.bodies[&id] != other_body && *new == conflict
            }
            Cause::Replay { event, all } => {
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
            Cause::Call {
                name: "claim",
                worker,
            } => {
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
            Cause::Call {
                name: "keep_alive",
                worker,
            } => {
                let taken = Event {
                    state: "waiting".to_owned(),
                    attempts: old.attempts + 1,
                    claims: old.claims + 1,
                    worker: None,
                    ..at(old, new)
                };
                let is_due = new.due_at <= after.now;
                let is_own = old.worker.as_ref() == self.names.get(&worker);
                old.state == "running"
                    && !is_own
                    && !is_alive(before, old)
                    && *new == taken
                    && is_due
            }
            Cause::Call {
                name: "release",
                worker,
            } => {
                let released = Event {
                    state: "waiting".to_owned(),
                    claims: old.claims + 1,
                    worker: None,
                    ..old.clone()
                };
                let attempt = self.attempt(worker, id, old.claims);
                let runs = self.runs.values().any(|(run, _)| Some(*run) == attempt);
                self.is_claimed_by(worker, old) && !runs && *new == released
            }
            Cause::Call {
                name: "write",
                worker,
            } => {
                let attempt = self.attempt(worker, id, old.claims);
                let attempt = attempt.filter(|_| self.is_claimed_by(worker, old));
                attempt.is_some_and(|attempt| self.may_write(&self.attempts[attempt], old, new))
            }
            Cause::Call { .. } | Cause::Prune { .. } | Cause::Nothing => false,
        }
    }

    /// Whether an attempt that has its event may write this.
    fn may_write(&self, attempt: &Attempt, old: &Event, new: &Event) -> bool {
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
            _ if new.state == "running" => ("running", old.attempts),
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

    /// Whether the body of a delivery is the one that is stored.
    pub(crate) fn has_body(&self, event: i64, other_body: bool) -> bool {
        self.bodies[&event] == other_body
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

/// What an event may have been between the effects of two calls at the same time.
fn between(old: Option<&Event>, new: Option<&Event>) -> Vec<Event> {
    let (Some(old), Some(new)) = (old, new) else {
        return Vec::new();
    };
    let was_waiting = Event {
        state: "waiting".to_owned(),
        worker: None,
        claims: new.claims - 1,
        ..new.clone()
    };
    let had_results = Event {
        results: new.results.clone(),
        ..old.clone()
    };
    vec![was_waiting, had_results]
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

/// Whether no other event of the job runs, or is due before this one.
fn is_first(tables: &Snapshot, id: i64, event: &Event) -> bool {
    !tables.events.iter().any(|(other, mate)| {
        let is_before = mate.state == "waiting" && (mate.due_at, *other) < (event.due_at, id);
        mate.job == event.job && *other != id && (mate.state == "running" || is_before)
    })
}

/// Whether the worker that has an event has a lease.
fn is_alive(tables: &Snapshot, event: &Event) -> bool {
    let lease = event
        .worker
        .as_ref()
        .and_then(|worker| tables.leases.get(worker));
    // A lease from before the clock was set back counts from now.
    lease.is_some_and(|lease| lease.renewed_at > tables.now || lease.expires_at > tables.now)
}

fn is_prunable(tables: &Snapshot, event: &Event, hours: i64) -> bool {
    let before = tables.now - hours * 3_600_000_000_000;
    event.state == "handled" && event.finished_at.is_some_and(|finished| finished < before)
}

pub(crate) const MAX_ATTEMPTS: i64 = 3;
