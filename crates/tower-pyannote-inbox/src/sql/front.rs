//! Where a claim begins to look for due events in PostgreSQL.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The due time at which claims of a backlog begin.
///
/// The index entries of claimed events stay at the front of the index until a vacuum, so a claim that begins there takes the longer
/// the more events were claimed. While claims find more events than they have places for, the next claim begins at the last
/// claimed event. Once a second a claim begins at the front, because an event with an earlier due time may have been released.
#[derive(Debug)]
pub(super) struct Front(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Events claimed in a row by claims that filled their places.
    claimed: usize,
    last_due_at: i64,
    searched: Instant,
}

impl Front {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            claimed: 0,
            last_due_at: i64::MIN,
            searched: Instant::now(),
        }))
    }

    /// Returns the earliest due time that the next claim looks for.
    pub(super) fn begin(&self) -> i64 {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.claimed >= LONG_RUN && state.searched.elapsed() < SEARCH_EVERY {
            return state.last_due_at;
        }
        state.searched = Instant::now();
        i64::MIN
    }

    /// Notes a committed claim of a number of events, the last of them due at a time.
    pub(super) fn note(&self, claimed: usize, places: usize, last_due_at: i64) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if claimed < places {
            state.claimed = 0;
        } else {
            state.claimed += claimed;
            state.last_due_at = last_due_at;
        }
    }
}

/// Index entries of this many claimed events do not slow a claim down.
const LONG_RUN: usize = 1_000;

const SEARCH_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_begins_at_the_last_one_only_in_a_long_backlog() {
        let front = Front::new();
        assert_eq!(front.begin(), i64::MIN);
        front.note(LONG_RUN - 1, LONG_RUN - 1, 7);
        assert_eq!(front.begin(), i64::MIN);
        front.note(1, 1, 8);
        assert_eq!(front.begin(), 8);
        front.note(1, 2, 9);
        assert_eq!(front.begin(), i64::MIN);
    }

    #[test]
    fn a_claim_begins_at_the_front_once_a_second() {
        let front = Front::new();
        front.note(LONG_RUN, LONG_RUN, 7);
        assert_eq!(front.begin(), 7);
        front.0.lock().unwrap().searched -= SEARCH_EVERY;
        assert_eq!(front.begin(), i64::MIN);
        assert_eq!(front.begin(), 7);
    }
}
