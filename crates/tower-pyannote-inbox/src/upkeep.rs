//! What a worker does beside its work: renews its lease, counts events and prunes.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{self, Instant},
};

use crate::{
    database::Database,
    held::{PAUSE, Wake},
    inbox::Inbox,
    telemetry,
};

/// Renews the lease, apart from the work, so that neither a busy worker nor one that drains seems dead.
pub(crate) async fn keep_alive(database: Database, wake: Wake, worker: Arc<str>, lease: Duration) {
    let third = lease / 3;
    loop {
        time::sleep(third).await;
        loop {
            let taken = database.keep_alive(third, &worker, lease);
            match taken.await {
                Ok(taken) => {
                    if taken > 0 {
                        wake.notify();
                    }
                    break;
                }
                Err(error) => {
                    telemetry::store_failed("renew a lease", &error);
                    time::sleep(third.min(PAUSE)).await;
                }
            }
        }
    }
}

/// Runs an endless task, and restarts it after a panic, which a recorder of logs or metrics can cause.
pub(crate) fn steadily<F>(work: impl Fn() -> F + Send + 'static) -> JoinSet<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let mut once = JoinSet::new();
            once.spawn(work());
            let _ = once.join_next().await;
            time::sleep(PAUSE).await;
        }
    });
    task
}

pub(crate) async fn housekeeping(inbox: Inbox, retention: Duration) {
    let mut prune_at = Instant::now();
    loop {
        match inbox.stats().await {
            Ok(stats) => telemetry::stats(&stats),
            Err(error) => telemetry::store_failed("count", &error),
        }
        if prune_at <= Instant::now() {
            prune_at += PRUNE_EVERY;
            match inbox.prune(retention).await {
                Ok(pruned) => telemetry::pruned(pruned),
                Err(error) => telemetry::store_failed("prune", &error),
            }
        }
        time::sleep(COUNT_EVERY).await;
    }
}

const COUNT_EVERY: Duration = Duration::from_secs(10);
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
