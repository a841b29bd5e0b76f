use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};

use tower_pyannote::clock::Clock;

/// The client's clock, whatever its type, and a measure of time that never goes back.
#[derive(Clone)]
pub(crate) struct Time {
    clock: Arc<dyn AnyClock>,
    read: Arc<Mutex<Reading>>,
}

struct Reading {
    at: SystemTime,
    elapsed: Duration,
}

impl Time {
    pub(crate) fn new<C>(clock: C) -> Self
    where
        C: Clock + Send + Sync + 'static,
        C::Sleep: Send + 'static,
    {
        let at = clock.now();
        let elapsed = Duration::ZERO;
        Self {
            clock: Arc::new(clock),
            read: Arc::new(Mutex::new(Reading { at, elapsed })),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.clock.now()
    }

    /// How much time has passed since the beginning; a clock that is set back stands still instead.
    pub(crate) fn elapsed(&self) -> Duration {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let passed = now.duration_since(read.at).unwrap_or_default();
        read.elapsed += passed;
        read.at = now;
        read.elapsed
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        self.clock.sleep(duration)
    }

    /// Waits for the future, but no longer than this.
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

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Time").field(&self.now()).finish()
    }
}

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.elapsed()
    }
}

pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

trait AnyClock: Send + Sync {
    fn now(&self) -> SystemTime;
    fn sleep(&self, duration: Duration) -> Sleep;
}

impl<C> AnyClock for C
where
    C: Clock + Send + Sync,
    C::Sleep: Send + 'static,
{
    fn now(&self) -> SystemTime {
        Clock::now(self)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(Clock::sleep(self, duration))
    }
}

#[cfg(test)]
mod tests {
    use std::future::{Ready, ready};
    use std::time::UNIX_EPOCH;

    use super::*;

    struct Unsteady(Arc<Mutex<SystemTime>>);

    impl Clock for Unsteady {
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
        let time = Time::new(Unsteady(Arc::clone(&shown)));
        let at = |seconds| {
            *shown.lock().unwrap() = UNIX_EPOCH + Duration::from_secs(seconds);
            time.elapsed().as_secs()
        };
        assert_eq!(at(10_007), 7);
        assert_eq!(at(5_000), 7);
        assert_eq!(at(5_002), 9);
    }
}
