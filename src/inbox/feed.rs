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
use tokio::time;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tower_layer::Identity;

use super::{
    store::{Claimed, Database},
    telemetry,
    worker::{Held, Wake},
};

/// Brings an apalis worker the events that are due, one by one, as it becomes free.
///
/// apalis' own backends give up at the first error of the database, stop their heartbeat while a fetched task waits for
/// its turn, and keep what they had fetched when they are closed. So this is a backend over the same tables and the same
/// statements, which does not: an error is waited out, and what is held is known.
pub(super) struct Feed {
    database: Database,
    wake: Wake,
    held: Held,
    stop: CancellationToken,
    next: Option<AbortOnDropHandle<Option<Claimed>>>,
}

impl Feed {
    pub(super) fn new(database: Database, wake: Wake, held: Held, stop: CancellationToken) -> Self {
        Self {
            database,
            wake,
            held,
            stop,
            next: None,
        }
    }

    /// In a task of its own: a worker that is stopped polls its backend no more, and a claim that stood still in the
    /// middle of a transaction would keep all others from writing.
    fn find(&self, worker: &WorkerContext) -> AbortOnDropHandle<Option<Claimed>> {
        let (database, wake) = (self.database.clone(), self.wake.clone());
        let (held, stop, worker) = (self.held.clone(), self.stop.clone(), worker.clone());
        AbortOnDropHandle::new(tokio::spawn(async move {
            let found = stop
                .run_until_cancelled(next(&database, &wake, &held, &worker))
                .await;
            if found.is_none() {
                // The claim may have been committed all the same. If this fails, the end of the worker does it.
                let _ = held.hand_back_others(&database, worker.name()).await;
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
        let mut finding = self.next.take().unwrap_or_else(|| self.find(worker));
        match Pin::new(&mut finding).poll(cx) {
            Poll::Pending => {
                self.next = Some(finding);
                Poll::Pending
            }
            Poll::Ready(Ok(found)) => Poll::Ready(found.map(Ok)),
            // It is never cut off but with the runtime.
            Poll::Ready(Err(_)) => Poll::Ready(None),
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
    type Args = i64;
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

/// Waits for an event that is due, and claims it.
async fn next(database: &Database, wake: &Wake, held: &Held, worker: &WorkerContext) -> Claimed {
    loop {
        let woken = wake.woken();
        match database.ask(|store| store.claim(worker)).await {
            Ok(Some(task)) => return task,
            Ok(None) => {
                let _ = time::timeout(IDLE, woken).await;
            }
            Err(error) => {
                telemetry::store_failed("claim", &error);
                time::sleep(IDLE).await;
                // The claim may have been committed, and only the answer lost. While this worker lives nobody else would take
                // the event, nor would this one know of it after its next claim.
                while held
                    .hand_back_others(database, worker.name())
                    .await
                    .is_err()
                {
                    time::sleep(IDLE).await;
                }
            }
        }
    }
}

/// How soon an event is found that another server committed, or that is due again.
const IDLE: Duration = Duration::from_secs(1);
