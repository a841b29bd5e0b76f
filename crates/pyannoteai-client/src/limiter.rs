use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::shared_clock::SharedClock;
use crate::telemetry;

/// Delays requests so that no window of 60 s exceeds the limit, and while the API asks for a pause.
///
/// Requests wait in the order of their calls.
#[derive(Debug)]
pub(crate) struct Limiter {
    bucket: Option<Bucket>,
    paused_until: Mutex<Duration>,
    queue: tokio::sync::Mutex<()>,
    clock: SharedClock,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, SharedClock, NoOpMiddleware<Duration>>;

impl Limiter {
    pub(crate) fn new(per_minute: Option<NonZeroU32>, clock: SharedClock) -> Self {
        let bucket = |limit| RateLimiter::direct_with_clock(quota(limit), clock.clone());
        Self {
            bucket: per_minute.map(bucket),
            paused_until: Mutex::new(Duration::ZERO),
            queue: tokio::sync::Mutex::new(()),
            clock,
        }
    }

    /// Waits until a request may be sent, and counts the request.
    pub(crate) async fn ready(&self) {
        let called_at = self.clock.elapsed();
        let mut delayed = false;
        let _place = match self.queue.try_lock() {
            Ok(place) => place,
            Err(_) => {
                delayed = true;
                self.queue.lock().await
            }
        };
        while let Some(wait) = self.wait() {
            delayed = true;
            self.clock.sleep(wait.max(MIN_SLEEP)).await;
        }
        let waited = self.clock.elapsed().saturating_sub(called_at);
        // A short contention for the queue is no wait.
        if delayed && waited >= MIN_SLEEP {
            telemetry::waited_for_rate_limit(waited);
        }
    }

    /// Delays all requests for a duration of at most 2 minutes.
    pub(crate) fn pause(&self, duration: Duration) {
        let until = self.clock.elapsed() + duration.min(MAX_PAUSE);
        let mut paused_until = self.paused_until();
        *paused_until = until.max(*paused_until);
    }

    /// Returns how long to wait. `None` means that the request was counted and may be sent.
    fn wait(&self) -> Option<Duration> {
        let now = self.clock.elapsed();
        let pause = self.paused_until().saturating_sub(now);
        if !pause.is_zero() {
            return Some(pause);
        }
        let refused = self.bucket.as_ref()?.check().err()?;
        Some(refused.wait_time_from(now))
    }

    fn paused_until(&self) -> MutexGuard<'_, Duration> {
        self.paused_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes a bucket of a tenth of the limit, which refills with the other nine tenths in a minute.
///
/// A bucket of the whole limit would allow nearly twice the limit in the first minute.
fn quota(limit: NonZeroU32) -> Quota {
    let burst = NonZeroU32::new(limit.get() / 10).unwrap_or(NonZeroU32::MIN);
    let refills = u64::from(limit.get() - burst.get());
    let period = match refills {
        // Two requests exactly 60 s apart would be in one window.
        0 => WINDOW + MIN_SLEEP,
        refills => Duration::from_nanos(NANOS_PER_WINDOW.div_ceil(refills)),
    };
    Quota::with_period(period).map_or_else(|| Quota::per_minute(burst), |q| q.allow_burst(burst))
}

const WINDOW: Duration = Duration::from_secs(60);
const NANOS_PER_WINDOW: u64 = 60_000_000_000;
const MAX_PAUSE: Duration = Duration::from_secs(120);
const MIN_SLEEP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::UNIX_EPOCH;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use tower_pyannote::clock::ManualClock;

    use super::*;

    fn limiter(per_minute: u32) -> (ManualClock, Limiter) {
        let clock = ManualClock::new(UNIX_EPOCH);
        let limiter = Limiter::new(NonZeroU32::new(per_minute), SharedClock::new(clock.clone()));
        (clock, limiter)
    }

    /// Counts the requests that may be sent now.
    fn drain(limiter: &Limiter) -> usize {
        std::iter::from_fn(|| limiter.wait().is_none().then_some(())).count()
    }

    #[test]
    fn a_limit_of_100_allows_10_requests_at_once() {
        let (clock, limiter) = limiter(100);
        assert_eq!(drain(&limiter), 10);
        assert_eq!(limiter.wait(), Some(Duration::from_nanos(666_666_667)));
        clock.advance(Duration::from_nanos(666_666_667));
        assert_eq!(drain(&limiter), 1);
        clock.advance(Duration::from_secs(600));
        assert_eq!(drain(&limiter), 10);
    }

    #[test]
    fn a_pause_lasts_as_long_as_asked_but_at_most_two_minutes() {
        let (clock, limiter) = limiter(100);
        limiter.pause(Duration::from_secs(7));
        limiter.pause(Duration::from_secs(3));
        assert_eq!(limiter.wait(), Some(Duration::from_secs(7)));
        clock.advance(Duration::from_secs(7));
        assert_eq!(limiter.wait(), None);
        limiter.pause(Duration::MAX);
        assert_eq!(limiter.wait(), Some(Duration::from_secs(120)));
    }

    proptest! {
        #[test]
        fn no_window_of_a_minute_exceeds_the_limit(
            limit in prop_oneof![1..=120_u32, Just(100)],
            steps in vec(0..=20_000_u64, 1..200),
        ) {
            let (clock, limiter) = limiter(limit);
            let mut sent = VecDeque::new();
            let mut now = Duration::ZERO;
            // After the given pauses each request is sent as soon as possible.
            let as_soon_as_possible = std::iter::repeat_n(None, 2 * usize::try_from(limit).unwrap() + 20);
            for step in steps.into_iter().map(|ms| Some(Duration::from_millis(ms))).chain(as_soon_as_possible) {
                let step = step.or_else(|| limiter.wait()).unwrap_or_default();
                clock.advance(step);
                now += step;
                sent.extend(std::iter::repeat_n(now, drain(&limiter)));
                while sent.front().is_some_and(|&first| now - first > WINDOW) {
                    sent.pop_front();
                }
                prop_assert!(sent.len() <= usize::try_from(limit).unwrap(), "{} at {now:?}", sent.len());
            }
        }
    }
}
