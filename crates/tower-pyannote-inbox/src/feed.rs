use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    worker::context::WorkerContext,
};
use tokio::time::{self, Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower_layer::Identity;

use super::{
    InboxError,
    store::{Claimed, Database, Ticket},
    telemetry,
    worker::{Held, Wake},
};

/// Brings an apalis worker the events that are due, one by one, as it becomes free.
///
/// apalis' own backends give up at the first error of the database, stop their heartbeat while a fetched task waits for
/// its turn, and keep what they had fetched when they are closed. So this is a backend over the same tables and the same
/// statements, which does not: an error is waited out, and what is held is known.
pub(crate) struct Feed {
    database: Database,
    wake: Wake,
    held: Held,
    stop: CancellationToken,
    lease: Duration,
    /// When what this worker does not know to hold was last handed back.
    handed_back: Instant,
    next: Option<Finding>,
}

type Finding = AbortOnDropHandle<Option<(Claimed, Instant)>>;

impl Feed {
    pub(crate) fn new(
        database: Database,
        wake: Wake,
        held: Held,
        stop: CancellationToken,
        lease: Duration,
    ) -> Self {
        Self {
            database,
            wake,
            held,
            stop,
            lease,
            handed_back: Instant::now(),
            next: None,
        }
    }

    /// In a task of its own: a worker that is stopped polls its backend no more, and a claim that stood still in the
    /// middle of a transaction would keep all others from writing.
    fn find(&self, worker: &WorkerContext, unsure: bool) -> Finding {
        let search = Search {
            database: self.database.clone(),
            wake: self.wake.clone(),
            held: self.held.clone(),
            lease: self.lease,
            worker: worker.clone(),
        };
        let (stop, handed_back) = (self.stop.clone(), self.handed_back);
        AbortOnDropHandle::new(tokio::spawn(async move {
            let found = stop
                .run_until_cancelled(search.next(unsure, handed_back))
                .await;
            if found.is_none() {
                // The claim may have been committed all the same. If this fails, the end of the worker does it.
                let _ = search.hand_back().await;
            }
            found
        }))
    }
}

impl Backend for Feed {
    type Task = Claimed;
    type Error = Infallible;

    fn poll_ready(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let mut finding = self.next.take().unwrap_or_else(|| self.find(worker, false));
        loop {
            match Pin::new(&mut finding).poll(cx) {
                Poll::Pending => {
                    self.next = Some(finding);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(Some((task, handed_back)))) => {
                    self.handed_back = handed_back;
                    return Poll::Ready(Some(Ok(task)));
                }
                Poll::Ready(Ok(None)) => return Poll::Ready(None),
                // It panicked, or the runtime is being shut down.
                Poll::Ready(Err(_)) => finding = self.find(worker, true),
            }
        }
    }

    fn poll_close(
        &mut self,
        _: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Result<(), Infallible>> {
        // A claim that is under way may yet succeed; the worker hands back what it does not hold.
        self.next = None;
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Feed {
    type Args = Ticket;
    type Id = ();
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &Self::Config {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Self::Layer {
        Identity::new()
    }
}

/// A search for the next event.
struct Search {
    database: Database,
    wake: Wake,
    held: Held,
    lease: Duration,
    worker: WorkerContext,
}

impl Search {
    /// Waits for an event that is due, and claims it.
    ///
    /// A claim may have been committed though the worker does not know of it: if its answer was lost, or if it takes effect
    /// after it was given up. While this worker lives nobody else would take the event. So what it does not hold is handed
    /// back, before the next claim if it is unsure, and once a lease in any case.
    async fn next(&self, mut unsure: bool, mut handed_back: Instant) -> (Claimed, Instant) {
        if unsure {
            time::sleep(IDLE).await;
        }
        loop {
            if unsure || handed_back.elapsed() > self.lease {
                unsure = self.hand_back().await.is_err();
                if unsure {
                    time::sleep(IDLE).await;
                    continue;
                }
                handed_back = Instant::now();
            }
            let woken = self.wake.woken();
            let claimed = self.database.ask(|store| store.claim(&self.worker)).await;
            self.database.recent().claims.note(&claimed);
            match claimed {
                Ok(Some(task)) => return (task, handed_back),
                Ok(None) => {
                    let _ = time::timeout(IDLE, woken).await;
                }
                Err(error) => {
                    telemetry::store_failed("claim", &error);
                    time::sleep(IDLE).await;
                    unsure = true;
                }
            }
        }
    }

    async fn hand_back(&self) -> Result<(), InboxError> {
        let held = self.held.ids();
        let worker = self.worker.name();
        let released = self
            .database
            .ask(|store| store.release(worker, &held))
            .await;
        if let Err(error) = &released {
            telemetry::store_failed("release", error);
        }
        released.map(|_| ())
    }
}

/// How soon an event is found that another server committed, or that is due again.
const IDLE: Duration = Duration::from_secs(1);
