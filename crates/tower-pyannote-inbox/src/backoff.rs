use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// The delay after a failed attempt: twice as long each time, plus a random part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) longest: Duration,
}

impl Backoff {
    /// Returns the delay after an attempt, of which the first is 1.
    pub(crate) fn after(&self, attempt: u32) -> Duration {
        let waits = ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.longest)
            .with_factor(2.0)
            .with_jitter()
            .without_max_times()
            .build();
        let number = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        // After these doublings every delay is the longest.
        let mut waits = waits.skip(number.min(MOST_DOUBLINGS));
        waits.next().unwrap_or(self.longest)
    }
}

/// The limit of the pauses that a worker or a handler may ask for: 7 days.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const MOST_DOUBLINGS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_carry_at_most_as_much_again() {
        let backoff = Backoff {
            first: Duration::from_secs(5),
            longest: Duration::from_secs(3_600),
        };
        let expected = [5, 10, 20, 40, 80, 160, 320, 640, 1_280, 2_560, 3_600, 3_600];
        for (attempt, seconds) in (1..).zip(expected) {
            for _ in 0..50 {
                let wait = backoff.after(attempt);
                let (least, most) = (
                    Duration::from_secs(seconds),
                    Duration::from_secs(2 * seconds),
                );
                assert!((least..=most).contains(&wait), "{attempt}: {wait:?}");
            }
        }
        assert!(backoff.after(u32::MAX) >= backoff.longest);
    }

    #[test]
    fn no_wait_stays_no_wait() {
        let backoff = Backoff {
            first: Duration::ZERO,
            longest: Duration::ZERO,
        };
        assert_eq!(backoff.after(7), Duration::ZERO);
    }
}
