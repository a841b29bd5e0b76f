use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::rate_limit_headers::RateLimitHeaders;
use crate::shared_clock::SharedClock;

/// Delays requests so that no window of 60 s exceeds one rate limit, and while the API asks for a pause.
///
/// Requests pass in the order of their calls.
pub(crate) struct Gate {
    /// The most requests a minute. Without it only the API delays requests.
    most: Option<NonZeroU32>,
    state: Mutex<State>,
    queue: tokio::sync::Mutex<()>,
    clock: SharedClock,
}

#[derive(Default)]
struct State {
    bucket: Option<Bucket>,
    paused_until: Duration,
    window: Option<Window>,
}

struct Bucket {
    limit: NonZeroU32,
    tokens: RateLimiter<NotKeyed, InMemoryState, SharedClock, NoOpMiddleware<Duration>>,
}

/// The current window of the API, as its last answers described it.
struct Window {
    remaining: u32,
    ends: Duration,
}

/// A place at the head of a gate's queue. The next request waits until it is dropped.
pub(crate) struct Place<'a> {
    _queue: tokio::sync::MutexGuard<'a, ()>,
    /// Whether the request waited for its place or at the gate.
    pub(crate) delayed: bool,
}

impl Gate {
    pub(crate) fn new(most: Option<NonZeroU32>, clock: SharedClock) -> Self {
        let mut gate = Self::open(most, clock.clone());
        let state = gate.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.bucket = most.map(|limit| Bucket::full(limit, clock));
        gate
    }

    /// Makes a gate that delays nothing until [`limit_to`](Self::limit_to).
    pub(crate) fn open(most: Option<NonZeroU32>, clock: SharedClock) -> Self {
        Self {
            most,
            state: Mutex::default(),
            queue: tokio::sync::Mutex::new(()),
            clock,
        }
    }

    /// Waits until a request may be sent, and counts the request.
    pub(crate) async fn pass(&self) -> Place<'_> {
        let (queue, mut delayed) = match self.queue.try_lock() {
            Ok(queue) => (queue, false),
            Err(_) => (self.queue.lock().await, true),
        };
        while let Some(wait) = self.wait() {
            delayed = true;
            self.clock.sleep(wait.max(MIN_SLEEP)).await;
        }
        let _queue = queue;
        Place { _queue, delayed }
    }

    /// Delays all requests for a duration of at most 2 minutes.
    pub(crate) fn pause(&self, duration: Duration) {
        let until = self.clock.elapsed() + duration.min(MAX_PAUSE);
        let mut state = self.state();
        state.paused_until = until.max(state.paused_until);
    }

    /// Keeps to the limit that the API announced, but sends no more than [`most`](Self::most).
    pub(crate) fn limit_to(&self, announced: NonZeroU32) {
        let Some(most) = self.most else { return };
        let limit = announced.min(most);
        let mut state = self.state();
        let bucket = match &state.bucket {
            Some(bucket) if bucket.limit == limit => return,
            // A change of the limit must not allow a second burst.
            Some(_) => Bucket::empty(limit, self.clock.clone()),
            None => Bucket::full(limit, self.clock.clone()),
        };
        state.bucket = Some(bucket);
    }

    /// Follows what an answer says about this limit.
    pub(crate) fn observe(&self, headers: &RateLimitHeaders) {
        if let Some(limit) = headers.limit {
            self.limit_to(limit);
        }
        if let Some(pause) = headers.pause() {
            self.pause(pause);
        } else if let (Some(remaining), Some(reset)) = (headers.remaining, headers.reset) {
            let ends = self.clock.elapsed() + reset.min(MAX_PAUSE);
            self.state().see_window(Window { remaining, ends });
        }
    }

    /// Returns how long to wait. `None` means that the request was counted and may be sent.
    fn wait(&self) -> Option<Duration> {
        let now = self.clock.elapsed();
        let mut state = self.state();
        state.window.take_if(|window| window.ends <= now);
        let used_up = state.window.as_ref().filter(|window| window.remaining == 0);
        let until = used_up.map_or(state.paused_until, |window| {
            window.ends.max(state.paused_until)
        });
        let pause = until.saturating_sub(now);
        if !pause.is_zero() {
            return Some(pause);
        }
        let refused = state
            .bucket
            .as_ref()
            .and_then(|bucket| bucket.tokens.check().err());
        if let Some(refused) = refused {
            return Some(refused.wait_time_from(now));
        }
        if let Some(window) = &mut state.window {
            window.remaining -= 1;
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn see_window(&mut self, seen: Window) {
        match &mut self.window {
            // A late answer about a window that ended.
            Some(known) if seen.ends + SAME_WINDOW < known.ends => {}
            // Answers may arrive out of order, and the lowest count is the newest.
            Some(known) if seen.ends <= known.ends + SAME_WINDOW => {
                known.remaining = known.remaining.min(seen.remaining);
                known.ends = known.ends.max(seen.ends);
            }
            window => *window = Some(seen),
        }
    }
}

impl Bucket {
    fn full(limit: NonZeroU32, clock: SharedClock) -> Self {
        let tokens = RateLimiter::direct_with_clock(quota(limit), clock);
        Self { limit, tokens }
    }

    fn empty(limit: NonZeroU32, clock: SharedClock) -> Self {
        let bucket = Self::full(limit, clock);
        // Never an error, because the bucket is full.
        let _ = bucket.tokens.check_n(quota(limit).burst_size());
        bucket
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("most", &self.most)
            .finish_non_exhaustive()
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
pub(crate) const MIN_SLEEP: Duration = Duration::from_millis(1);

/// How far the ends of one window may differ between answers, because they are rounded to seconds and travel.
const SAME_WINDOW: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::UNIX_EPOCH;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use tower_pyannote::clock::ManualClock;

    use super::*;

    fn gate(per_minute: u32) -> (ManualClock, Gate) {
        let clock = ManualClock::new(UNIX_EPOCH);
        let gate = Gate::new(NonZeroU32::new(per_minute), SharedClock::new(clock.clone()));
        (clock, gate)
    }

    /// Reports an answer with a relative reset.
    fn answer(gate: &Gate, limit: u32, remaining: u32, reset: u64) {
        gate.observe(&RateLimitHeaders {
            limit: NonZeroU32::new(limit),
            remaining: Some(remaining),
            reset: Some(Duration::from_secs(reset)),
            ..RateLimitHeaders::default()
        });
    }

    /// Counts the requests that may be sent now.
    fn drain(gate: &Gate) -> usize {
        std::iter::from_fn(|| gate.wait().is_none().then_some(())).count()
    }

    #[test]
    fn a_limit_of_100_allows_10_requests_at_once() {
        let (clock, gate) = gate(100);
        assert_eq!(drain(&gate), 10);
        assert_eq!(gate.wait(), Some(Duration::from_nanos(666_666_667)));
        clock.advance(Duration::from_nanos(666_666_667));
        assert_eq!(drain(&gate), 1);
        clock.advance(Duration::from_secs(600));
        assert_eq!(drain(&gate), 10);
    }

    #[test]
    fn a_pause_lasts_as_long_as_asked_but_at_most_two_minutes() {
        let (clock, gate) = gate(100);
        gate.pause(Duration::from_secs(7));
        gate.pause(Duration::from_secs(3));
        assert_eq!(gate.wait(), Some(Duration::from_secs(7)));
        clock.advance(Duration::from_secs(7));
        assert_eq!(gate.wait(), None);
        gate.pause(Duration::MAX);
        assert_eq!(gate.wait(), Some(Duration::from_secs(120)));
    }

    #[test]
    fn the_remaining_requests_of_the_api_are_not_exceeded() {
        let (clock, gate) = gate(100);
        // Other processes used up most of the window.
        answer(&gate, 100, 3, 20);
        assert_eq!(drain(&gate), 3);
        assert_eq!(gate.wait(), Some(Duration::from_secs(20)));
        clock.advance(Duration::from_secs(20));
        assert_eq!(drain(&gate), 10);
    }

    #[test]
    fn answers_out_of_order_keep_the_lowest_count_of_their_window() {
        let (clock, gate) = gate(100);
        answer(&gate, 100, 2, 30);
        answer(&gate, 100, 9, 31);
        assert_eq!(drain(&gate), 2);
        clock.advance(Duration::from_secs(32));
        // A new window, then a late answer about the old one.
        answer(&gate, 100, 5, 60);
        answer(&gate, 100, 1, 1);
        assert_eq!(drain(&gate), 5);
    }

    #[test]
    fn an_announced_limit_below_the_setting_spreads_requests_over_its_minute() {
        let (clock, gate) = gate(100);
        answer(&gate, 10, 10, 60);
        assert_eq!(gate.wait(), Some(Duration::from_nanos(6_666_666_667)));
        clock.advance(Duration::from_nanos(6_666_666_667));
        assert_eq!(drain(&gate), 1);
        // The same limit again keeps the bucket, and a higher limit does not raise the setting.
        answer(&gate, 10, 9, 53);
        assert_eq!(gate.wait(), Some(Duration::from_nanos(6_666_666_667)));
        answer(&gate, 1_000, 900, 53);
        assert_eq!(gate.wait(), Some(Duration::from_nanos(666_666_667)));
    }

    proptest! {
        #[test]
        fn no_window_of_a_minute_exceeds_the_limit(
            limit in prop_oneof![1..=120_u32, Just(100)],
            steps in vec(0..=20_000_u64, 1..200),
        ) {
            let (clock, gate) = gate(limit);
            let mut sent = VecDeque::new();
            let mut now = Duration::ZERO;
            // After the given pauses each request is sent as soon as possible.
            let as_soon_as_possible = std::iter::repeat_n(None, 2 * usize::try_from(limit).unwrap() + 20);
            for step in steps.into_iter().map(|ms| Some(Duration::from_millis(ms))).chain(as_soon_as_possible) {
                let step = step.or_else(|| gate.wait()).unwrap_or_default();
                clock.advance(step);
                now += step;
                sent.extend(std::iter::repeat_n(now, drain(&gate)));
                while sent.front().is_some_and(|&first| now - first > WINDOW) {
                    sent.pop_front();
                }
                prop_assert!(sent.len() <= usize::try_from(limit).unwrap(), "{} at {now:?}", sent.len());
            }
        }
    }
}
