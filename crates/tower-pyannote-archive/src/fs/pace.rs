use std::time::{Duration, Instant};

/// Decides whether the files of a group share flushes, or are created alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The moving average of the time per file, for files that were created alone.
    alone: Option<Duration>,
    /// Files are created alone until this time, because the last group was slower.
    alone_until: Option<Instant>,
}

impl Pace {
    /// Returns whether a group of `files` files shares flushes. A group of one file always does.
    pub(super) fn shares(&self, now: Instant, files: usize) -> bool {
        let was_slow = self.alone_until.is_some_and(|until| now < until);
        // The first files are created alone, to measure how long they take.
        files == 1 || (self.alone.is_some() && !was_slow)
    }

    /// Records how long a file took while `at_once` files were created alone.
    pub(super) fn note_alone(&mut self, took: Duration, at_once: u32) {
        let new = took / at_once.max(1);
        self.alone = Some(self.alone.map_or(new, |old| (old + new) / 2));
    }

    /// Records how long a group took.
    pub(super) fn note_shared(&mut self, begun: Instant, took: Duration, files: usize) {
        // A small group must not end the groups, because larger groups form only while a group is written.
        let files = u32::try_from(files.max(FEW)).unwrap_or(u32::MAX);
        if self.alone.is_some_and(|alone| took > alone * files) {
            self.alone_until = begun.checked_add(took * (1 + REST));
        }
    }
}

/// After a slow group, files are created alone for this many times the group's duration.
const REST: u32 = 10;

/// A smaller group counts as slow only if it takes longer than this number of files would take alone.
const FEW: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_files_that_come_together_are_created_alone() {
        let now = Instant::now();
        let mut pace = Pace::default();
        assert!(!pace.shares(now, 2));
        assert!(pace.shares(now, 1), "a group of one file");
        pace.note_alone(32 * MILLISECOND, 32);
        assert!(pace.shares(now, 2));
    }

    #[test]
    fn a_slow_group_is_tried_again_after_ten_times_its_time() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.note_alone(4 * MILLISECOND, 4);
        pace.note_shared(now, 32 * MILLISECOND, 32);
        assert!(pace.shares(now + 32 * MILLISECOND, 32), "as fast as alone");
        pace.note_shared(now, 33 * MILLISECOND, 32);
        assert!(!pace.shares(now + 33 * MILLISECOND, 32));
        assert!(!pace.shares(now + 362 * MILLISECOND, 32));
        assert!(pace.shares(now + 363 * MILLISECOND, 32));
    }

    #[test]
    fn a_small_group_may_take_as_long_as_sixteen_files() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.note_alone(MILLISECOND, 1);
        pace.note_shared(now, 16 * MILLISECOND, 2);
        assert!(pace.shares(now + 16 * MILLISECOND, 2));
        pace.note_shared(now, 17 * MILLISECOND, 2);
        assert!(!pace.shares(now + 17 * MILLISECOND, 2));
    }

    #[test]
    fn a_group_is_compared_with_recent_files_that_were_created_alone() {
        let now = Instant::now();
        let mut pace = Pace::default();
        pace.note_alone(MILLISECOND, 1);
        pace.note_alone(3 * MILLISECOND, 1);
        pace.note_shared(now, 40 * MILLISECOND, 20);
        assert!(pace.shares(now + 40 * MILLISECOND, 20));
    }
}
