use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{BoxFuture, Either, select};
use tower_pyannote::clock::Clock;

/// The client's clock without its type, with a monotonic time beside the system time.
#[derive(Clone)]
pub(crate) struct SharedClock {
    clock: Arc<dyn DynClock>,
    last: Arc<Mutex<LastReading>>,
}

struct LastReading {
    at: SystemTime,
    elapsed: Duration,
}

impl SharedClock {
    pub(crate) fn new<C>(clock: C) -> Self
    where
        C: Clock + Send + Sync + 'static,
        C::Sleep: Send + 'static,
    {
        let at = clock.now();
        let elapsed = Duration::ZERO;
        Self {
            clock: Arc::new(clock),
            last: Arc::new(Mutex::new(LastReading { at, elapsed })),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// Returns the time since the clock was made. It stands still while the clock is set back.
    pub(crate) fn elapsed(&self) -> Duration {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let passed = now.duration_since(last.at).unwrap_or_default();
        last.elapsed += passed;
        last.at = now;
        last.elapsed
    }

    pub(crate) fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    /// Waits for the future. Returns `None` if the limit passes first.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        future: impl Future<Output = T>,
    ) -> Option<T> {
        match select(pin!(future), self.sleep(limit)).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }
}

impl fmt::Debug for SharedClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedClock").field(&self.now()).finish()
    }
}

impl governor::clock::Clock for SharedClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.elapsed()
    }
}

/// The object-safe form of [`Clock`].
trait DynClock: Send + Sync {
    fn now(&self) -> SystemTime;
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

impl<C> DynClock for C
where
    C: Clock + Send + Sync,
    C::Sleep: Send + 'static,
{
    fn now(&self) -> SystemTime {
        Clock::now(self)
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Clock::sleep(self, duration))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::time::UNIX_EPOCH;

    use super::*;

    struct AdjustableClock(Arc<Mutex<SystemTime>>);

    impl Clock for AdjustableClock {
        type Sleep = Ready<()>;

        fn now(&self) -> SystemTime {
            *self.0.lock().unwrap()
        }

        fn sleep(&self, _: Duration) -> Ready<()> {
            ready(())
        }
    }

    #[test]
    fn elapsed_time_stands_still_when_the_clock_is_set_back() {
        let start = UNIX_EPOCH + Duration::from_secs(10_000);
        let shown = Arc::new(Mutex::new(start));
        let clock = SharedClock::new(AdjustableClock(Arc::clone(&shown)));
        let at = |seconds| {
            *shown.lock().unwrap() = UNIX_EPOCH + Duration::from_secs(seconds);
            clock.elapsed().as_secs()
        };
        assert_eq!(at(10_007), 7);
        assert_eq!(at(5_000), 7);
        assert_eq!(at(5_002), 9);
    }
}
