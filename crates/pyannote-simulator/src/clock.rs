use std::time::{Duration, SystemTime};

use tower_pyannote::clock::{Clock, SystemClock, SystemSleep};

/// A clock whose sleeps are shorter by a factor. The time of day is real, because receivers compare timestamps with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaledClock {
    scale: f64,
}

impl ScaledClock {
    pub(crate) fn new(scale: f64) -> Self {
        Self { scale }
    }

    /// Converts simulated time to real time.
    pub(crate) fn real(self, simulated: Duration) -> Duration {
        scaled(simulated, self.scale.recip())
    }

    /// Converts real time to simulated time.
    pub(crate) fn simulated(self, real: Duration) -> Duration {
        scaled(real, self.scale)
    }
}

/// `Duration::mul_f64` would panic on overflow.
fn scaled(duration: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(duration.as_secs_f64() * factor).unwrap_or(Duration::MAX)
}

impl Clock for ScaledClock {
    type Sleep = SystemSleep;

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) -> SystemSleep {
        SystemClock.sleep(self.real(duration))
    }
}
