use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ConfigError;

/// The bytes that all bodies in flight may hold together. Clones share one budget: give clones to several layers to
/// limit their total.
///
/// From its second frame on, a body reserves its announced length, if three quarters of the budget then stay free.
/// Otherwise the body reserves at most twice the bytes received, because a sender can announce any length at no cost.
/// The reservation ends when the request is answered or refused. The first 64 KiB of a body are free, so that large
/// bodies never keep small ones out.
///
/// The budget does not count the memory below. Limit the connections, and leave memory for:
///
/// - each connection's frame that waits for the budget, and the frame that the HTTP server has read ahead;
/// - each output that is typed before the answer: at most five times its body, and 64 KiB.
///
/// # Example: one budget for two layers
///
/// ```
/// use tower_pyannote::{PyannoteSignatureLayer, WebhookSecret, layer::ByteBudget};
///
/// let budget = ByteBudget::new(512 << 20)?;
/// let one = PyannoteSignatureLayer::new(WebhookSecret::new("whs_one")?).with_byte_budget(budget.clone())?;
/// let two = PyannoteSignatureLayer::new(WebhookSecret::new("whs_two")?).with_byte_budget(budget.clone())?;
/// assert_eq!(budget.drawn(), 0);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ByteBudget {
    semaphore: Arc<Semaphore>,
    size: usize,
}

impl ByteBudget {
    /// Creates a budget of `size` bytes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ByteBudget`] if `size` is 0, or 4 GiB or more, or on a 32-bit machine 512 MiB or more.
    pub fn new(size: usize) -> Result<Self, ConfigError> {
        match u32::try_from(size) {
            Ok(1..) if size <= Semaphore::MAX_PERMITS => Ok(Self::of(size)),
            _ => Err(ConfigError::ByteBudget { size }),
        }
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns how many bytes are reserved now.
    #[must_use]
    pub fn drawn(&self) -> usize {
        self.size.saturating_sub(self.semaphore.available_permits())
    }

    pub(super) fn of(size: usize) -> Self {
        Self {
            semaphore: Arc::new(Semaphore::new(size)),
            size,
        }
    }

    /// Acquires `bytes` at once, if three quarters of the budget then stay free.
    pub(super) fn try_acquire_with_ample_room(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        let ample = || self.drawn() <= self.size / 4;
        if !ample() {
            return None;
        }
        let semaphore = Arc::clone(&self.semaphore);
        let permit = semaphore.try_acquire_many_owned(bytes).ok()?;
        // Check again after acquiring, because another body may have acquired in between.
        ample().then_some(permit)
    }

    /// Acquires `bytes` at once, or returns a future that acquires them when they are free.
    pub(super) fn acquire(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Acquire> {
        let semaphore = Arc::clone(&self.semaphore);
        Arc::clone(&semaphore)
            .try_acquire_many_owned(bytes)
            .map_err(|_| -> Acquire {
                // Boxed, because the type of an async block has no name. The allocation is rare: a body waits only when
                // the budget is used up.
                Box::pin(async move { semaphore.acquire_many_owned(bytes).await.ok() })
            })
    }
}

impl fmt::Debug for ByteBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteBudget")
            .field("size", &self.size)
            .field("drawn", &self.drawn())
            .finish()
    }
}

/// How many bytes of each body do not count against the budget.
pub(super) const FREE: usize = 64 << 10;

/// Waits for bytes, first come, first served. The future never yields `None`, because the semaphore is never closed.
pub(super) type Acquire = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send + Sync>>;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn concurrent_bodies_never_acquire_more_than_a_quarter_of_the_budget() {
        let budget = ByteBudget::of(400);
        let barrier = Barrier::new(2);
        let acquire = || {
            for _ in 0..2_000 {
                barrier.wait();
                let permit = budget.try_acquire_with_ample_room(100);
                barrier.wait();
                assert!(budget.drawn() <= 100);
                barrier.wait();
                drop(permit);
            }
        };
        thread::scope(|scope| {
            scope.spawn(acquire);
            scope.spawn(acquire);
        });
        assert_eq!(budget.drawn(), 0);
        assert!(budget.try_acquire_with_ample_room(101).is_none());
        assert!(budget.try_acquire_with_ample_room(100).is_some());
    }
}
