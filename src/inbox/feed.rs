use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::Task,
    worker::context::WorkerContext,
};
use tokio::time;
use tower_layer::Identity;

use super::{
    store::Store,
    telemetry,
    worker::{Held, Wake},
};

/// Brings an apalis worker the events that are due, one by one, as it becomes free.
///
/// apalis' own backends give up at the first error of the database, stop their heartbeat while a fetched task waits for
/// its turn, and keep what they had fetched when they are closed. So this is a backend over the same tables and the same
/// statements, which does not: an error is waited out, and what is held is known.
pub(super) struct Feed {
    store: Arc<dyn Store>,
    wake: Wake,
    held: Held,
    next: Option<Next>,
}

impl Feed {
    pub(super) fn new(store: Arc<dyn Store>, wake: Wake, held: Held) -> Self {
        Self {
            store,
            wake,
            held,
            next: None,
        }
    }
}

impl Backend for Feed {
    type Task = Task<Vec<u8>>;
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
        let next = self.next.get_or_insert_with(|| {
            let (store, wake) = (Arc::clone(&self.store), self.wake.clone());
            Box::pin(next(store, wake, self.held.clone(), worker.clone()))
        });
        let task = ready!(next.as_mut().poll(cx));
        self.next = None;
        Poll::Ready(Some(Ok(task)))
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
    type Args = Vec<u8>;
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
async fn next(
    store: Arc<dyn Store>,
    wake: Wake,
    held: Held,
    worker: WorkerContext,
) -> Task<Vec<u8>> {
    loop {
        let woken = wake.woken();
        match store.claim(&worker).await {
            Ok(Some(task)) => {
                if let Some(id) = task.task_id() {
                    held.insert(id.to_string());
                }
                return task;
            }
            Ok(None) => {
                let _ = time::timeout(IDLE, woken).await;
            }
            Err(error) => {
                telemetry::store_failed("claim", &error);
                time::sleep(IDLE).await;
                // The claim may have been committed, and only the answer lost.
                if let Err(error) = held.hand_back_others(&*store, worker.name()).await {
                    telemetry::store_failed("release", &error);
                }
            }
        }
    }
}

type Next = Pin<Box<dyn Future<Output = Task<Vec<u8>>> + Send>>;

/// How soon an event is found that another server committed, or that is due again.
const IDLE: Duration = Duration::from_secs(1);
