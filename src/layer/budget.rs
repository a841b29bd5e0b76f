use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ConfigError;

/// The bytes that all bodies in flight may hold together.
///
/// A body draws what is reserved for it: once more than its first piece has come, as much as it announced where three
/// quarters of the budget stay free beside that, and otherwise at most twice what has come, as announcing is free. It gives
/// that back when its request is answered or refused. The first 64 KiB of a body draw on nothing, so that big bodies never
/// keep small ones out. An output that is typed before the answer takes memory beside the budget, at most five times its body,
/// and 64 KiB. Clones share the budget: hand one to several layers and they hold no more together than one alone.
///
/// The budget does not count a piece that waits for it, nor what the HTTP server has read ahead. Each connection has at
/// most one of both, so limit the connections, and leave room for that beside the budget.
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
    /// A budget of `size` bytes.
    ///
    /// # Errors
    ///
    /// [`ConfigError::ByteBudget`] if it is 0, or 4 GiB or more, or on a 32-bit machine 512 MiB or more.
    pub fn new(size: usize) -> Result<Self, ConfigError> {
        match u32::try_from(size) {
            Ok(1..) if size <= Semaphore::MAX_PERMITS => Ok(Self::of(size)),
            _ => Err(ConfigError::ByteBudget { size }),
        }
    }

    /// How many bytes it has in all.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// How many bytes are drawn at present.
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

    /// Draws at once, if three quarters stay free.
    pub(super) fn draw_amply(&self, bytes: u32) -> Option<OwnedSemaphorePermit> {
        let ample = || self.drawn() <= self.size / 4;
        if !ample() {
            return None;
        }
        let semaphore = Arc::clone(&self.semaphore);
        let permit = semaphore.try_acquire_many_owned(bytes).ok()?;
        // Judged once it is drawn, since others draw meanwhile.
        ample().then_some(permit)
    }

    /// Draws at once, or says what to wait for.
    pub(super) fn draw(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Draw> {
        let semaphore = Arc::clone(&self.semaphore);
        Arc::clone(&semaphore)
            .try_acquire_many_owned(bytes)
            .map_err(|_| -> Draw {
                // Boxed, as its type has no name; a body comes here only when the budget is used up.
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

/// How much of a body draws on no budget.
pub(super) const FREE: usize = 64 << 10;

/// Waits in line for bytes; `None` never comes, as the semaphore is never closed.
pub(super) type Draw = Pin<Box<dyn Future<Output = Option<OwnedSemaphorePermit>> + Send + Sync>>;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn two_that_draw_at_once_never_have_more_than_a_quarter_together() {
        let budget = ByteBudget::of(400);
        let together = Barrier::new(2);
        let draw = || {
            for _ in 0..2_000 {
                together.wait();
                let permit = budget.draw_amply(100);
                together.wait();
                assert!(budget.drawn() <= 100);
                together.wait();
                drop(permit);
            }
        };
        thread::scope(|scope| {
            scope.spawn(draw);
            scope.spawn(draw);
        });
        assert_eq!(budget.drawn(), 0);
        assert!(budget.draw_amply(101).is_none());
        assert!(budget.draw_amply(100).is_some());
    }
}
