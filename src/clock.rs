//! The clock of the layer: the current time for freshness, and timers for timeouts.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

/// A source of the current time and of timers.
///
/// [`SystemClock`] is the default, and tests move a [`ManualClock`]. Implement it to use another runtime's timer.
pub trait Clock {
    /// The future that [`sleep`](Self::sleep) returns.
    type Sleep: Future<Output = ()>;

    /// Returns the current time.
    fn now(&self) -> SystemTime;

    /// Returns a future that completes after `duration` from now.
    fn sleep(&self, duration: Duration) -> Self::Sleep;
}

/// The system's clock, and Tokio's timer.
///
/// # Panics
///
/// [`sleep`](Clock::sleep) panics outside a Tokio runtime that has time enabled.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    type Sleep = SystemSleep;

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        SystemSleep {
            sleep: tokio::time::sleep(duration),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of [`SystemClock`].
    #[derive(Debug)]
    pub struct SystemSleep {
        #[pin]
        sleep: tokio::time::Sleep,
    }
}

impl Future for SystemSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

/// A clock for tests that moves only by [`advance`](Self::advance). Clones share their time.
///
/// # Example
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_pyannote::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_767_225_600));
/// clock.advance(Duration::from_secs(600));
/// assert_eq!(clock.now(), UNIX_EPOCH + Duration::from_secs(1_767_226_200));
/// ```
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Time>>);

impl ManualClock {
    /// Creates a clock that shows `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        let sleepers = Vec::new();
        Self(Arc::new(Mutex::new(Time { now, sleepers })))
    }

    /// Moves the clock forward, and wakes the sleeps that end by then.
    pub fn advance(&self, duration: Duration) {
        let mut time = self.lock();
        time.now += duration;
        let now = time.now;
        let (due, sleepers) = std::mem::take(&mut time.sleepers)
            .into_iter()
            .partition(|sleeper| sleeper.until <= now);
        time.sleepers = sleepers;
        drop(time);
        let due: Vec<Sleeper> = due;
        due.into_iter().for_each(|sleeper| sleeper.waker.wake());
    }

    /// Returns how many [`ManualSleep`]s have been polled and are pending.
    #[must_use]
    pub fn sleepers(&self) -> usize {
        self.lock().sleepers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Time> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    type Sleep = ManualSleep;

    fn now(&self) -> SystemTime {
        self.lock().now
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        ManualSleep {
            until: self.now() + duration,
            clock: self.clone(),
            token: Arc::new(()),
        }
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now()).finish()
    }
}

/// The future of [`ManualClock`].
#[derive(Debug)]
pub struct ManualSleep {
    until: SystemTime,
    clock: ManualClock,
    token: Arc<()>,
}

impl Future for ManualSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut time = self.clock.lock();
        if time.now >= self.until {
            return Poll::Ready(());
        }
        time.sleepers
            .retain(|sleeper| !Arc::ptr_eq(&sleeper.token, &self.token));
        time.sleepers.push(Sleeper {
            until: self.until,
            token: Arc::clone(&self.token),
            waker: cx.waker().clone(),
        });
        Poll::Pending
    }
}

impl Drop for ManualSleep {
    fn drop(&mut self) {
        self.clock
            .lock()
            .sleepers
            .retain(|sleeper| !Arc::ptr_eq(&sleeper.token, &self.token));
    }
}

struct Time {
    now: SystemTime,
    sleepers: Vec<Sleeper>,
}

struct Sleeper {
    until: SystemTime,
    token: Arc<()>,
    waker: Waker,
}
