use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A rate limit over a sliding window.
#[derive(Debug)]
pub(crate) struct Window {
    limit: usize,
    length: Duration,
    taken: VecDeque<Instant>,
}

/// The answer of a [`Window`] to a request.
pub(crate) enum Turn {
    Taken { remaining: usize },
    Refused { wait: Duration },
}

impl Window {
    pub(crate) fn new(limit: usize, length: Duration) -> Self {
        Self {
            limit,
            length,
            taken: VecDeque::new(),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn take(&mut self, now: Instant) -> Turn {
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
