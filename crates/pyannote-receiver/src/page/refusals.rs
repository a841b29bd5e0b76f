use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use jiff::Timestamp;
use tower_pyannote::layer::Rejection;

use crate::api::{Refusal, stamp};

/// The last refusals, the newest last. They contain no part of a request.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<VecDeque<(Timestamp, Rejection)>>);

impl Refusals {
    pub(crate) fn note(&self, rejection: Rejection) {
        let mut refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refusals.len() == MOST {
            refusals.pop_front();
        }
        refusals.push_back((Timestamp::now(), rejection));
    }

    /// Returns the last refusals, the newest first.
    pub(super) fn list(&self) -> Vec<Refusal> {
        let refusals = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refusals = refusals.iter().rev();
        refusals
            .map(|(at, rejection)| Refusal {
                at: stamp(*at),
                status: rejection.status().as_u16(),
                reason: rejection.as_str(),
            })
            .collect()
    }
}

/// How many refusals the page shows.
const MOST: usize = 20;
