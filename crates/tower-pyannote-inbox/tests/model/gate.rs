//! Where the calls and the handlers of a worker wait for the test.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    task,
};
use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent};
use tower_pyannote_inbox::{StoreCall, StoreGate, StoreMoment, StorePass, StoreStep};

use crate::command::{LATER, Verdict};

/// What waits, of all workers.
#[derive(Clone, Default)]
pub(crate) struct Waiting {
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    /// The calls that have their effect now.
    in_flight: usize,
    runs: Vec<Run>,
    news: Vec<News>,
    last_run: usize,
    dead: BTreeSet<usize>,
}

/// A call that waits for its effect or for its answer.
pub(crate) struct Call {
    pub(crate) worker: usize,
    pub(crate) holds: StoreCall,
    pub(crate) has_effect: bool,
    step: oneshot::Sender<StoreStep>,
}

/// A handler that runs.
pub(crate) struct Run {
    pub(crate) id: usize,
    verdict: oneshot::Sender<Verdict>,
}

/// What happened since the test looked last.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Began {
        run: usize,
        worker: usize,
        job: String,
        status: String,
        handler: &'static str,
        attempt: u32,
    },
    /// A handler was dropped before its end, by a timeout or with its worker.
    CutOff { run: usize },
}

impl Waiting {
    /// The gate of a worker's database.
    pub(crate) fn gate(&self, worker: usize) -> Arc<dyn StoreGate> {
        Arc::new(Gate {
            waiting: self.clone(),
            worker,
        })
    }

    /// The handlers of a worker.
    pub(crate) fn handlers(&self, worker: usize) -> HandlerRegistry {
        let mut registry = HandlerRegistry::new();
        for handler in HANDLERS {
            let waiting = self.clone();
            let run = move |event: WebhookEvent| waiting.run(worker, handler, &event);
            registry = registry.on_any(handler, run).unwrap();
        }
        // Longer than any tick.
        registry
            .with_handler_timeout(Duration::from_secs(1_300))
            .unwrap()
    }

    fn run(
        &self,
        worker: usize,
        handler: &'static str,
        event: &WebhookEvent,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send + use<> {
        let mut state = self.state();
        state.last_run += 1;
        let run = state.last_run;
        let (verdict, decided) = oneshot::channel();
        state.runs.push(Run { id: run, verdict });
        state.news.push(News::Began {
            run,
            worker,
            job: event.job_id().to_owned(),
            status: event.status().as_str().to_owned(),
            handler,
            attempt: event.attempt(),
        });
        drop(state);
        let mut guard = CutOff {
            waiting: self.clone(),
            run: Some(run),
        };
        async move {
            let verdict = decided.await.expect("the test ends each handler that runs");
            guard.is_decided();
            match verdict {
                Verdict::Done => Ok(()),
                Verdict::Retry => Err("not yet".into()),
                Verdict::RetryLater => {
                    let later = Duration::from_secs(LATER * 60);
                    Err(HandlerError::new("later").retry_after(later))
                }
                Verdict::Permanent => Err(HandlerError::permanent("never")),
            }
        }
    }

    /// From now on no call of the worker has an effect.
    pub(crate) fn kill(&self, worker: usize) {
        let mut state = self.state();
        state.dead.insert(worker);
        state.calls.retain(|call| call.worker != worker);
    }

    /// Waits until everything waits for the test, or for time to pass.
    pub(crate) async fn settle(&self) {
        loop {
            for _ in 0..64 {
                task::yield_now().await;
            }
            let arrived = self.arrived.notified();
            if self.state().in_flight == 0 {
                break;
            }
            arrived.await;
        }
        let mut state = self.state();
        state.calls.retain(|call| !call.step.is_closed());
        state.runs.retain(|run| !run.verdict.is_closed());
    }

    pub(crate) fn news(&self) -> Vec<News> {
        std::mem::take(&mut self.state().news)
    }

    /// Takes the call that a number selects.
    pub(crate) fn call(&self, number: u8, fits: impl Fn(&Call) -> bool) -> Option<Call> {
        let mut state = self.state();
        let places: Vec<usize> = state
            .calls
            .iter()
            .enumerate()
            .filter(|(_, call)| fits(call))
            .map(|(place, _)| place)
            .collect();
        let place = *places.get(usize::from(number) % places.len().max(1))?;
        Some(state.calls.remove(place))
    }

    /// Whether a transaction of a worker commits this body.
    pub(crate) fn holds_body(&self, worker: usize, body: &str) -> bool {
        let state = self.state();
        let mut calls = state.calls.iter().filter(|call| call.worker == worker);
        calls.any(|call| call.holds.bodies.iter().any(|held| held == body.as_bytes()))
    }

    pub(crate) fn answer(&self, call: Call, step: StoreStep) {
        if !call.has_effect && step != StoreStep::Fails {
            self.state().in_flight += 1;
        }
        // The caller may have given up.
        let _ = call.step.send(step);
    }

    /// Takes the handler that a number selects.
    pub(crate) fn running(&self, number: u8) -> Option<Run> {
        let mut state = self.state();
        let place = usize::from(number).checked_rem(state.runs.len())?;
        Some(state.runs.remove(place))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Run {
    pub(crate) fn end(self, verdict: Verdict) {
        let _ = self.verdict.send(verdict);
    }
}

struct Gate {
    waiting: Waiting,
    worker: usize,
}

impl StoreGate for Gate {
    fn pass(&self, holds: &StoreCall, moment: StoreMoment) -> StorePass<'_> {
        let (step, decided) = oneshot::channel();
        let has_effect = moment == StoreMoment::BeforeAnswer;
        let mut state = self.waiting.state();
        if has_effect {
            state.in_flight -= 1;
        }
        if !state.dead.contains(&self.worker) {
            state.calls.push(Call {
                worker: self.worker,
                holds: holds.clone(),
                has_effect,
                step,
            });
        }
        drop(state);
        self.waiting.arrived.notify_one();
        Box::pin(async {
            match decided.await {
                Ok(step) => step,
                // The worker was killed.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

struct CutOff {
    waiting: Waiting,
    run: Option<usize>,
}

impl CutOff {
    fn is_decided(&mut self) {
        self.run = None;
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if let Some(run) = self.run {
            self.waiting.state().news.push(News::CutOff { run });
        }
    }
}

pub(crate) const HANDLERS: [&str; 2] = ["first", "second"];
