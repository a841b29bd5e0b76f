use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

/// A value that all callers share while it is fresh. Anyone can request it, and each computation takes a database
/// connection that a delivery may wait for.
pub(crate) struct Cached<T>(Arc<Mutex<Option<Entry<T>>>>);

struct Entry<T> {
    value: T,
    fresh_until: Instant,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Cached<T> {
    /// Returns the cached value if it is fresh, else the result of `compute`. Only one caller computes at a time.
    ///
    /// `lifetime` returns how long the value is fresh, given how long it took to compute. Returns `None` if `compute` panics.
    pub(crate) async fn get(
        &self,
        lifetime: impl FnOnce(Duration) -> Duration + Send + 'static,
        compute: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let mut cached = Arc::clone(&self.0).lock_owned().await;
        match &*cached {
            Some(entry) if Instant::now() < entry.fresh_until => return Some(entry.value.clone()),
            _ => {}
        }
        // In a task, so that the computation completes even if this caller disconnects.
        let computed = tokio::spawn(async move {
            let begun = Instant::now();
            let value = compute.await;
            *cached = Some(Entry {
                value: value.clone(),
                fresh_until: Instant::now() + lifetime(begun.elapsed()),
            });
            value
        });
        computed.await.ok()
    }
}
