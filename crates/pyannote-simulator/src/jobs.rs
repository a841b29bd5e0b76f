use std::{collections::VecDeque, time::SystemTime};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{faults::Fault, submission::Submission};

/// A job and its delivery.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// The count of jobs that were submitted before.
    pub(crate) number: u64,
    pub(crate) seed: u64,
    pub(crate) submission: Submission,
    pub(crate) faults: Vec<Fault>,
    pub(crate) end: End,
    pub(crate) status: &'static str,
    pub(crate) created: SystemTime,
    pub(crate) updated: SystemTime,
    pub(crate) delivery: DeliveryState,
    pub(crate) attempts: Vec<Attempt>,
}

/// How a job will end.
#[derive(Clone)]
pub(crate) enum End {
    Success,
    Failure { error: Option<&'static str> },
    Cancellation,
}

impl End {
    pub(crate) fn status(&self) -> &'static str {
        match self {
            Self::Success => "succeeded",
            Self::Failure { .. } => "failed",
            Self::Cancellation => "canceled",
        }
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryState {
    /// The job has no webhook.
    None,
    Pending,
    Delivered,
    Lost,
}

/// One request to a webhook.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attempt {
    pub(crate) at: String,
    /// The value of `x-retry-num`; null for the first attempt.
    pub(crate) retry: Option<u32>,
    pub(crate) reason: Option<String>,
    /// False if a fault kept the request from being sent.
    pub(crate) sent: bool,
    pub(crate) status: Option<u16>,
    /// Why there is no status.
    pub(crate) failure: Option<String>,
}

impl Job {
    pub(crate) fn is_over(&self) -> bool {
        self.status == self.end.status()
    }

    /// Returns what `GET /simulator/jobs` shows.
    pub(crate) fn to_json(&self) -> Value {
        let faults: Vec<_> = self.faults.iter().map(|fault| fault.name()).collect();
        json!({
            "jobId": self.id,
            "number": self.number,
            "task": self.submission.task,
            "status": self.status,
            "createdAt": date(self.created),
            "updatedAt": date(self.updated),
            "webhook": self.submission.webhook.as_ref().map(ToString::to_string),
            "faults": faults,
            "delivery": self.delivery,
            "attempts": self.attempts,
        })
    }

    /// Returns what `GET /v2/jobs` shows.
    pub(crate) fn to_item(&self) -> Value {
        json!({ "id": self.id, "status": self.status, "createdAt": date(self.created) })
    }
}

/// The latest jobs, in the order of their submission.
#[derive(Default)]
pub(crate) struct Jobs {
    jobs: VecDeque<Job>,
    count: u64,
}

impl Jobs {
    pub(crate) fn next_number(&self) -> u64 {
        self.count
    }

    /// Adds a job. Forgets the oldest one if there are too many.
    pub(crate) fn add(&mut self, job: Job) {
        if self.jobs.len() == MOST {
            self.jobs.pop_front();
        }
        self.jobs.push_back(job);
        self.count += 1;
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<&Job> {
        self.jobs.iter().find(|job| job.id == id)
    }

    pub(crate) fn by_number(&mut self, number: u64) -> Option<&mut Job> {
        let first = self.jobs.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.jobs.get_mut(at)
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Job> {
        self.jobs.iter()
    }
}

/// Formats a date as the API does.
pub(crate) fn date(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| String::new(), |date| format!("{date:.3}"))
}

const MOST: usize = 100_000;
