use std::{collections::VecDeque, time::SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{faults::Fault, submission::Submission};

/// A job, from its submission until it is forgotten.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) id: String,
    /// Jobs are numbered from 0 as they come.
    pub(super) number: u64,
    pub(super) seed: u64,
    pub(super) submission: Submission,
    pub(super) faults: Vec<Fault>,
    pub(super) end: End,
    pub(super) status: &'static str,
    pub(super) created: SystemTime,
    pub(super) updated: SystemTime,
    pub(super) delivery: DeliveryState,
    pub(super) attempts: Vec<Attempt>,
}

/// How a job is going to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Success,
    Failure { error: Option<&'static str> },
    Cancellation,
}

impl End {
    pub(super) fn status(&self) -> &'static str {
        match self {
            Self::Success => "succeeded",
            Self::Failure { .. } => "failed",
            Self::Cancellation => "canceled",
        }
    }
}

/// What became of the delivery of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    /// There is no webhook.
    None,
    Pending,
    Delivered,
    Lost,
}

/// One request to a webhook.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Attempt {
    pub(super) at: String,
    /// `x-retry-num`; null for the first attempt.
    pub(super) retry: Option<u32>,
    pub(super) reason: Option<String>,
    /// Whether it was sent at all.
    pub(super) sent: bool,
    pub(super) status: Option<u16>,
    /// Why there was no answer.
    pub(super) failure: Option<String>,
}

impl Job {
    pub(super) fn is_over(&self) -> bool {
        self.status == self.end.status()
    }

    /// All that is known, as `/simulator/jobs` shows it.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "jobId": self.id,
            "number": self.number,
            "task": self.submission.task,
            "status": self.status,
            "createdAt": date(self.created),
            "updatedAt": date(self.updated),
            "webhook": self.submission.webhook.as_ref().map(ToString::to_string),
            "faults": self.faults,
            "delivery": self.delivery,
            "attempts": self.attempts,
        })
    }

    /// What `GET /v2/jobs` says of it.
    pub(super) fn to_item(&self) -> Value {
        json!({ "id": self.id, "status": self.status, "createdAt": date(self.created) })
    }
}

/// The jobs that are remembered, in the order they came.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: VecDeque<Job>,
    count: u64,
}

impl Jobs {
    /// The number of the next one.
    pub(super) fn next_number(&self) -> u64 {
        self.count
    }

    pub(super) fn add(&mut self, job: Job) {
        if self.jobs.len() == MOST {
            self.jobs.pop_front();
        }
        self.jobs.push_back(job);
        self.count += 1;
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(super) fn by_number(&mut self, number: u64) -> Option<&mut Job> {
        let first = self.jobs.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.jobs.get_mut(at)
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.iter()
    }
}

/// A date as the API writes it.
pub(super) fn date(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |date| format!("{date:.3}"))
}

const MOST: usize = 100_000;
