use std::time::{Duration, SystemTime};

use tower_pyannote::clock::{Clock, SystemClock, SystemSleep};

/// Whatever is waited for takes so many times less; what time it is stays true, as receivers compare it with theirs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScaledClock {
    scale: f64,
}

impl ScaledClock {
    pub(super) fn new(scale: f64) -> Self {
        Self { scale }
    }

    /// How long a simulated time takes.
    pub(super) fn real(self, simulated: Duration) -> Duration {
        simulated.div_f64(self.scale)
    }

    /// How much simulated time a real one is.
    pub(super) fn simulated(self, real: Duration) -> Duration {
        real.mul_f64(self.scale)
    }
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
