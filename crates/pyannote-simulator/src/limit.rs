use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// So many requests in any stretch of time of one length.
#[derive(Debug)]
pub(super) struct Window {
    limit: usize,
    length: Duration,
    taken: VecDeque<Instant>,
}

/// What a request is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Taken { remaining: usize },
    Refused { wait: Duration },
}

impl Window {
    pub(super) fn new(limit: usize, length: Duration) -> Self {
        Self {
            limit,
            length,
            taken: VecDeque::new(),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn take(&mut self, now: Instant) -> Turn {
        while let Some(&oldest) = self.taken.front() {
            let age = now.duration_since(oldest);
            if age < self.length {
                if self.taken.len() >= self.limit {
                    let wait = self.length - age;
                    return Turn::Refused { wait };
                }
                break;
            }
            self.taken.pop_front();
        }
        self.taken.push_back(now);
        let remaining = self.limit - self.taken.len();
        Turn::Taken { remaining }
    }
}
