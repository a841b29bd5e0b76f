use serde_json::{Value, json};

use crate::{
    answer::FieldError,
    jobs::{Job, Jobs},
};

/// The query of `GET /v2/jobs`.
pub(crate) struct Page {
    limit: usize,
    /// Selects jobs with lower numbers.
    below: Option<u64>,
    status: Option<String>,
}

impl Page {
    pub(crate) fn read(query: &str) -> Result<Self, Vec<FieldError>> {
        let mut page = Self {
            limit: 10,
            below: None,
            status: None,
        };
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: &str| {
            let (field, message) = (field.to_owned(), message.to_owned());
            errors.push(FieldError { field, message });
        };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "limit" => match value.parse() {
                    Ok(limit) if (1..=100).contains(&limit) => page.limit = limit,
                    _ => wrong("limit", "must be a whole number from 1 to 100"),
                },
                "cursor" => match u64::from_str_radix(value, 16) {
                    Ok(number) => page.below = Some(number ^ MASK),
                    Err(_) => wrong("cursor", "must be the nextCursor of an answer"),
                },
                "status" if STATUSES.contains(&value) => page.status = Some(value.to_owned()),
                "status" => wrong("status", &format!("must be one of {}", STATUSES.join(", "))),
                _ => {}
            }
        }
        match errors.is_empty() {
            true => Ok(page),
            false => Err(errors),
        }
    }

    /// Returns the page, the newest job first.
    pub(crate) fn of(&self, jobs: &Jobs) -> Value {
        let fitting = |job: &&Job| {
            self.below.is_none_or(|below| job.number < below)
                && self
                    .status
                    .as_ref()
                    .is_none_or(|status| job.status == status)
        };
        let mut jobs = jobs.iter().rev().filter(fitting).peekable();
        let mut items = Vec::new();
        let mut last = None;
        while items.len() < self.limit {
            let Some(job) = jobs.next() else { break };
            last = Some(job.number);
            items.push(job.to_item());
        }
        let more = jobs.peek().is_some();
        let cursor = last
            .filter(|_| more)
            .map(|last| format!("{:x}", last ^ MASK));
        json!({ "items": items, "nextCursor": cursor })
    }
}

const STATUSES: [&str; 6] = [
    "pending",
    "created",
    "running",
    "succeeded",
    "failed",
    "canceled",
];

/// Hides the number in a cursor, so that clients treat it as opaque.
const MASK: u64 = 0x5bd1_e995_0a6c_3f27;
