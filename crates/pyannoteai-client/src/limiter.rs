use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::{telemetry, time::Time};

/// Holds requests back so that no window of 60 s sees more than the limit, and while the API asked for a pause.
///
/// Its waiters are let through one by one, in the order they came.
#[derive(Debug)]
pub(crate) struct Limiter {
    bucket: Option<Bucket>,
    paused_until: Mutex<Duration>,
    turn: tokio::sync::Mutex<()>,
    time: Time,
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Time, NoOpMiddleware<Duration>>;

impl Limiter {
    pub(crate) fn new(per_minute: Option<NonZeroU32>, time: Time) -> Self {
        let bucket = |limit| RateLimiter::direct_with_clock(quota(limit), time.clone());
        Self {
            bucket: per_minute.map(bucket),
            paused_until: Mutex::new(Duration::ZERO),
            turn: tokio::sync::Mutex::new(()),
            time,
        }
    }

    /// Waits until a request may go out, and counts it.
    pub(crate) async fn ready(&self) {
        let asked = self.time.elapsed();
        let _turn = self.turn.lock().await;
        while let Some(wait) = self.wait() {
            self.time.sleep(wait.max(SHORTEST_SLEEP)).await;
        }
        let waited = self.time.elapsed().saturating_sub(asked);
        if !waited.is_zero() {
            telemetry::waited_for_rate_limit(waited);
        }
    }

    /// Lets nobody through for a while, 2 minutes at most.
    pub(crate) fn pause(&self, duration: Duration) {
        let until = self.time.elapsed() + duration.min(LONGEST_PAUSE);
        let mut paused_until = self.paused_until();
        *paused_until = until.max(*paused_until);
    }

    /// How long to wait, `None` if the request was counted and may go out.
    fn wait(&self) -> Option<Duration> {
        let now = self.time.elapsed();
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

/// A bucket of a tenth of the limit, refilled with the rest of it in a minute.
///
/// A bucket that held the whole limit would let through nearly twice the limit in its first minute.
fn quota(limit: NonZeroU32) -> Quota {
    let burst = NonZeroU32::new(limit.get() / 10).unwrap_or(NonZeroU32::MIN);
    let refills = u64::from(limit.get() - burst.get());
    let period = match refills {
        // A second request exactly 60 s after the first would share a window with it.
        0 => WINDOW + SHORTEST_SLEEP,
        refills => Duration::from_nanos(NANOS_PER_WINDOW.div_ceil(refills)),
    };
    Quota::with_period(period).map_or_else(|| Quota::per_minute(burst), |q| q.allow_burst(burst))
}

const WINDOW: Duration = Duration::from_secs(60);
const NANOS_PER_WINDOW: u64 = 60_000_000_000;
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::UNIX_EPOCH;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use tower_pyannote::clock::ManualClock;

    fn limiter(per_minute: u32) -> (ManualClock, Limiter) {
        let clock = ManualClock::new(UNIX_EPOCH);
        let limiter = Limiter::new(NonZeroU32::new(per_minute), Time::new(clock.clone()));
        (clock, limiter)
    }

    /// How many may go out at this moment.
    fn drain(limiter: &Limiter) -> usize {
        std::iter::from_fn(|| limiter.wait().is_none().then_some(())).count()
    }

    #[test]
    fn a_hundred_a_minute_begin_with_ten_at_once() {
        let (clock, limiter) = limiter(100);
        assert_eq!(drain(&limiter), 10);
        assert_eq!(limiter.wait(), Some(Duration::from_nanos(666_666_667)));
        clock.advance(Duration::from_nanos(666_666_667));
        assert_eq!(drain(&limiter), 1);
        clock.advance(Duration::from_secs(600));
        assert_eq!(drain(&limiter), 10);
    }

    #[test]
    fn a_pause_holds_for_its_time_and_never_over_two_minutes() {
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
            // After the given pauses, greed: each request goes out as soon as it may.
            let greedy = std::iter::repeat_n(None, 2 * usize::try_from(limit).unwrap() + 20);
            for step in steps.into_iter().map(|ms| Some(Duration::from_millis(ms))).chain(greedy) {
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
