use std::{
    mem::take,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, RwLock, oneshot};

use crate::{
    database::Database,
    entry::Commit,
    error::{InboxError, InboxErrorKind},
    held::{Claimant, Wake},
    store::{Batch, Claimed, Done, Outcome, Places},
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
    /// Whether the transaction failed, perhaps because of another item. If only its answer was lost, events are claimed.
    pub(crate) is_unsure: bool,
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
                let own = u64::from(batch.may_make_due());
                let after = self.wake.notify_of(&batch);
                // The claims may have missed a change that came during the transaction.
                let seen = if after == before + own { after } else { before };
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
                        is_unsure: false,
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
        // Claims are not repeated: if only the answer was lost, the worker hands back the claimed events.
        let has_others = batch.len() > batch.claims.len();
        for answer in answers.claims {
            let unsure = Found {
                events: Vec::new(),
                is_full: true,
                is_unsure: true,
                seen: 0,
            };
            let _ = answer.send(if has_others {
                Ok(unsure)
            } else {
                Err(error.clone())
            });
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

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use std::time::UNIX_EPOCH;

    use tempfile::TempDir;
    use tower_pyannote::{
        WebhookEvent,
        event::{Delivery, Source},
    };

    use super::*;
    use crate::{
        Inbox,
        record::Record,
        store::{ANSWER, End},
    };

    async fn lane(directory: &TempDir) -> Lane {
        let path = directory.path().join("inbox.sqlite");
        let inbox = Inbox::sqlite(path).await.unwrap();
        Lane {
            database: inbox.database.clone(),
            wake: inbox.wake.clone(),
            limit: ANSWER,
            claims: Arc::default(),
            running: Arc::default(),
        }
    }

    impl Lane {
        fn claim(&self, claimant: &Arc<Claimant>) -> oneshot::Receiver<Result<Found, InboxError>> {
            let (answer, answered) = oneshot::channel();
            let claimant = Arc::clone(claimant);
            self.waiting().push(PendingClaim { claimant, answer });
            answered
        }

        async fn deliver(&self, job_id: &str) -> Commit {
            let (answer, answered) = oneshot::channel();
            let body = format!(r#"{{"jobId":"{job_id}","status":"succeeded"}}"#);
            let event = WebhookEvent::new(body.into(), Delivery::at(UNIX_EPOCH)).unwrap();
            let batch = Batch::of_record(Record::of(&event, Source::Webhook));
            let answers = Answers {
                commits: vec![(answer, None)],
                ..Answers::default()
            };
            self.clone().run(batch, answers).await;
            answered.await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn an_event_is_claimed_in_the_transaction_that_commits_it() {
        let directory = TempDir::new().unwrap();
        let lane = lane(&directory).await;
        let claimant = Arc::new(Claimant::new("worker".into()));
        claimant.set_free(2);
        let claimed = lane.claim(&claimant);
        assert_eq!(lane.deliver("job").await, Commit::New);
        let found = claimed.await.unwrap().unwrap();
        assert_eq!(found.events.len(), 1);
        assert!(!found.is_full);
        assert_eq!(found.seen, lane.wake.changes());
    }

    #[tokio::test]
    async fn a_result_frees_its_place_for_a_claim_in_the_same_transaction() {
        let directory = TempDir::new().unwrap();
        let lane = lane(&directory).await;
        let claimant = Arc::new(Claimant::new("worker".into()));
        claimant.set_free(1);
        let first = lane.claim(&claimant);
        lane.deliver("first").await;
        let first = first.await.unwrap().unwrap();
        assert!(first.is_full);

        claimant.set_free(0);
        let mut second = lane.claim(&claimant);
        lane.deliver("second").await;
        // There is no place yet.
        second.try_recv().unwrap_err();

        let (answer, written) = oneshot::channel();
        let outcome = Outcome {
            claim: first.events[0].claim.clone(),
            settled: None,
            end: Some(End::Handled),
            has_results: false,
        };
        let answers = Answers {
            written: vec![answer],
            ..Answers::default()
        };
        let batch = Batch::of_outcome(outcome);
        lane.clone().run(batch, answers).await;
        assert!(written.await.unwrap().unwrap());
        let second = second.await.unwrap().unwrap();
        assert_eq!(second.events.len(), 1);
        assert_ne!(second.events[0].claim.id, first.events[0].claim.id);
    }

    #[tokio::test]
    async fn a_claim_that_was_given_up_takes_no_event() {
        let directory = TempDir::new().unwrap();
        let lane = lane(&directory).await;
        let claimant = Arc::new(Claimant::new("worker".into()));
        claimant.set_free(1);
        drop(lane.claim(&claimant));
        lane.deliver("job").await;
        let found = lane.claim(&claimant);
        lane.clone().run(Batch::default(), Answers::default()).await;
        assert_eq!(found.await.unwrap().unwrap().events.len(), 1);
    }
}
