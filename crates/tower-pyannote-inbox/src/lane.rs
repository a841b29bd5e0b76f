use std::{
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, RwLock, oneshot};

use crate::{
    entry::Commit,
    error::{InboxError, InboxErrorKind},
    held::{Claimant, Wake},
    store::{Batch, Claimed, Database, Done, Outcome, Places},
};

/// What the tasks of a group share.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) database: Database,
    pub(crate) wake: Wake,
    pub(crate) limit: Duration,
    /// Claims join the next transaction, and cause none.
    pub(crate) claims: Arc<Mutex<Vec<PendingClaim>>>,
    /// Held for reading while a transaction runs.
    pub(crate) running: Arc<RwLock<()>>,
}

pub(crate) struct PendingClaim {
    pub(crate) claimant: Arc<Claimant>,
    pub(crate) answer: Answer<Found>,
}

pub(crate) type Answer<A> = oneshot::Sender<Result<A, InboxError>>;

/// The answer to a claim.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) events: Vec<Claimed>,
    /// Whether all places were filled, so that more events may be due.
    pub(crate) is_full: bool,
    /// The claim has seen all changes up to this one of [`Wake`].
    pub(crate) seen: u64,
}

/// The answers to a batch, in its order.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) commits: Vec<(Answer<Commit>, Option<OwnedSemaphorePermit>)>,
    pub(crate) written: Vec<Answer<bool>>,
    pub(crate) claims: Vec<Answer<Found>>,
}

impl Lane {
    pub(crate) async fn run(self, mut batch: Batch, mut answers: Answers) {
        let _running = self.running.read().await;
        self.add_claims(&mut batch, &mut answers);
        if batch.len() == 0 {
            return;
        }
        let before = self.wake.changes();
        match self.transact(&batch).await {
            Ok(done) => {
                let after = self.wake.notify_of(&batch);
                // Of another change during the transaction it is unknown whether the claims have seen it.
                let seen = if after <= before + 1 { after } else { before };
                for ((answer, _room), commit) in answers.commits.into_iter().zip(done.commits) {
                    // A caller that gave up tries again.
                    let _ = answer.send(Ok(commit));
                }
                for (answer, written) in answers.written.into_iter().zip(done.written) {
                    let _ = answer.send(Ok(written));
                }
                let claimed = done.claimed.into_iter().zip(&batch.claims);
                for (answer, (events, claim)) in answers.claims.into_iter().zip(claimed) {
                    let is_full = events.len() >= claim.places;
                    let _ = answer.send(Ok(Found {
                        events,
                        is_full,
                        seen,
                    }));
                }
            }
            Err(error) => self.run_alone(batch, answers, error).await,
        }
    }

    /// Adds the claims that have places now, or will have when the batch is committed.
    fn add_claims(&self, batch: &mut Batch, answers: &mut Answers) {
        let mut waiting = self.waiting();
        for PendingClaim { claimant, answer } in take(&mut *waiting) {
            let is_freed = |outcome: &&Outcome| {
                outcome.end.is_some() && outcome.claim.worker == claimant.worker
            };
            let places = claimant.free() + batch.outcomes.iter().filter(is_freed).count();
            if answer.is_closed() {
                continue;
            }
            if places == 0 {
                waiting.push(PendingClaim { claimant, answer });
                continue;
            }
            batch.claims.push(Places {
                worker: Arc::clone(&claimant.worker),
                places,
                is_idle: claimant.is_idle(),
            });
            answers.claims.push(answer);
        }
    }

    /// Runs each item of a failed batch alone, because an item that the database refuses must not keep its neighbours out.
    async fn run_alone(&self, batch: Batch, answers: Answers, error: InboxError) {
        let is_alone = batch.len() == 1 || error.kind() != InboxErrorKind::Store;
        let first = is_alone.then_some(&error);
        // Not again: if only the answer was lost, the worker hands back what was claimed.
        for answer in answers.claims {
            let _ = answer.send(Err(error.clone()));
        }
        for (record, (answer, _room)) in batch.records.into_iter().zip(answers.commits) {
            let batch = Batch::of_record(record);
            self.retry(first, batch, answer, |done| done.commits).await;
        }
        for (outcome, answer) in batch.outcomes.into_iter().zip(answers.written) {
            let batch = Batch::of_outcome(outcome);
            self.retry(first, batch, answer, |done| done.written).await;
        }
    }

    async fn retry<A>(
        &self,
        error: Option<&InboxError>,
        batch: Batch,
        answer: Answer<A>,
        answers: impl FnOnce(Done) -> Vec<A>,
    ) {
        let done = match error {
            Some(error) => Err(error.clone()),
            // If the database is down, all callers soon give up.
            None if answer.is_closed() => return,
            None => self.transact(&batch).await,
        };
        if done.is_ok() {
            self.wake.notify_of(&batch);
        }
        let done = done.map(answers);
        let _ = answer.send(done.and_then(|done| done.into_iter().next().ok_or_else(closed)));
    }

    async fn transact(&self, batch: &Batch) -> Result<Done, InboxError> {
        let done = self.database.transact(self.limit, batch).await;
        if !batch.records.is_empty() {
            self.database.recent().commits.note(&done);
        }
        done
    }

    pub(crate) fn waiting(&self) -> MutexGuard<'_, Vec<PendingClaim>> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn closed() -> InboxError {
    InboxError::new(InboxErrorKind::Closed)
}
