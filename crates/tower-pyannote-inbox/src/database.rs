use std::{collections::HashSet, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time;

#[cfg(feature = "testing")]
use crate::faults::Faults;
use crate::{
    error::{InboxError, InboxErrorKind},
    recent::Recent,
    sql::SqlStore,
    store::{ANSWER, Batch, Done, Grouping},
};

/// The store with a timeout on each call, because a dead connection gives neither an answer nor an error.
#[derive(Clone)]
pub(crate) struct Database {
    store: Arc<SqlStore>,
    recent: Arc<Recent>,
    faults: Faults,
}

impl Database {
    pub(crate) fn new(store: SqlStore) -> Self {
        Self {
            store: Arc::new(store),
            recent: Arc::default(),
            faults: Faults::default(),
        }
    }

    /// Returns the same database as another process sees it: with other faults, and without a record of recent results.
    #[cfg(feature = "testing")]
    pub(crate) fn with_faults(&self, faults: Faults) -> Self {
        Self {
            store: Arc::clone(&self.store),
            recent: Arc::default(),
            faults,
        }
    }

    pub(crate) fn grouping(&self) -> Grouping {
        self.store.grouping()
    }

    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Calls the store for work that no delivery waits for, with the usual timeout.
    ///
    /// After [`InboxErrorKind::Timeout`] the transaction may still commit.
    pub(crate) async fn ask<'a, T: Send, F>(
        &'a self,
        work: impl FnOnce(&'a SqlStore) -> F,
    ) -> Result<T, InboxError>
    where
        F: Future<Output = Result<T, InboxError>> + Send + 'a,
    {
        self.ask_within(ANSWER, work).await
    }

    /// Calls the store with a timeout.
    pub(crate) async fn ask_within<'a, T: Send, F>(
        &'a self,
        limit: Duration,
        work: impl FnOnce(&'a SqlStore) -> F,
    ) -> Result<T, InboxError>
    where
        F: Future<Output = Result<T, InboxError>> + Send + 'a,
    {
        let work = Box::pin(work(&self.store));
        self.call(limit, Call::Other, work).await
    }

    pub(crate) async fn transact(
        &self,
        limit: Duration,
        batch: &Batch,
    ) -> Result<Done, InboxError> {
        let work = Box::pin(self.store.transact(batch));
        self.call(limit, Call::Transact(batch), work).await
    }

    /// Renews a worker's lease, and makes the events of workers without a lease due again. Returns their number.
    pub(crate) async fn keep_alive(
        &self,
        limit: Duration,
        worker: &str,
        lease: Duration,
    ) -> Result<u64, InboxError> {
        let work = Box::pin(self.store.keep_alive(worker, lease));
        self.call(limit, Call::KeepAlive, work).await
    }

    /// Makes the events that a worker claimed due again, except those in `held`. Returns their number.
    pub(crate) async fn release(
        &self,
        limit: Duration,
        worker: &str,
        held: &HashSet<i64>,
    ) -> Result<u64, InboxError> {
        let work = Box::pin(self.store.release(worker, held));
        self.call(limit, Call::Release(held), work).await
    }

    async fn call<'a, T: Send>(
        &'a self,
        limit: Duration,
        call: Call<'a>,
        work: StoreFuture<'a, T>,
    ) -> Result<T, InboxError> {
        match time::timeout(limit, self.faults.through(call, work)).await {
            Ok(answer) => answer,
            Err(_) => Err(InboxError::new(InboxErrorKind::Timeout)),
        }
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

/// Boxed, because a future of sqlx is several KiB.
pub(crate) type StoreFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, InboxError>> + Send + 'a>>;

/// The part of a call that a gate of a test sees.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(feature = "testing"),
    expect(dead_code, reason = "only a test reads it")
)]
pub(crate) enum Call<'a> {
    Transact(&'a Batch),
    Release(&'a HashSet<i64>),
    KeepAlive,
    Other,
}

/// Without the feature `testing` there are no faults.
#[cfg(not(feature = "testing"))]
#[derive(Clone, Default)]
struct Faults(());

#[cfg(not(feature = "testing"))]
impl Faults {
    fn through<'a, T>(&self, _: Call<'a>, work: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        work
    }
}
