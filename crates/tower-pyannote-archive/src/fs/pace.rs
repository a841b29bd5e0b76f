use std::time::{Duration, Instant};

/// Chooses between one flush of the file system for a group, and a flush of each file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The time for one file, of the last group that flushed each file.
    each: Option<Duration>,
    /// Until then, flushes of the file system are slower than those of the files.
    each_until: Option<Instant>,
}

impl Pace {
    /// Returns whether a group shares a flush of the file system.
    pub(super) fn shares(&self, now: Instant, files: usize) -> bool {
        let is_slow = self.each_until.is_some_and(|until| now < until);
        // The first group learns what the flush of a file costs.
        files > 1 && !is_slow && self.each.is_some()
    }

    /// Notes how long a group took to write and flush its files.
    pub(super) fn note(&mut self, begun: Instant, took: Duration, files: usize, was_shared: bool) {
        let files = u32::try_from(files).unwrap_or(u32::MAX);
        if !was_shared {
            self.each = Some(took / files);
        } else if self.each.is_some_and(|each| took > each * files) {
            self.each_until = begun.checked_add(took * (1 + REST));
        }
    }
}

/// After a slow flush of the file system, groups do without one for so many times its time. So slow ones take a tenth of the time.
const REST: u32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_group_and_a_file_alone_flush_each_file() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!(!pace.shares(now, 32));
        pace.note(now, 32 * MILLISECOND, 32, false);
        assert!(pace.shares(now, 32));
        assert!(pace.shares(now, 2));
        assert!(!pace.shares(now, 1));
    }

    #[test]
    fn a_slow_flush_of_the_file_system_is_tried_again_after_ten_times_its_time() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.note(now, MILLISECOND, 1, false);
        pace.note(now, 32 * MILLISECOND, 32, true);
        assert!(pace.shares(now + 32 * MILLISECOND, 32), "as fast as each");
        pace.note(now, 33 * MILLISECOND, 32, true);
        assert!(!pace.shares(now + 33 * MILLISECOND, 32));
        assert!(!pace.shares(now + 362 * MILLISECOND, 32));
        assert!(pace.shares(now + 363 * MILLISECOND, 32));
    }

    #[test]
    fn slower_flushes_of_files_make_that_of_the_file_system_worth_it() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.note(now, MILLISECOND, 1, false);
        pace.note(now, 40 * MILLISECOND, 32, true);
        let later = now + 440 * MILLISECOND;
        pace.note(now, 64 * MILLISECOND, 32, false);
        pace.note(later, 40 * MILLISECOND, 32, true);
        assert!(pace.shares(later + 40 * MILLISECOND, 32));
    }
}
