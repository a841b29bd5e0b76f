use serde_json::{Value, json};

use super::{answer::FieldError, jobs::Jobs};

/// What `GET /v2/jobs` is asked for.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    /// Only jobs with lower numbers.
    below: Option<u64>,
    status: Option<String>,
}

impl Page {
    pub(super) fn read(query: &str) -> Result<Self, Vec<FieldError>> {
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
                    Err(_) => wrong("cursor", "must be a nextCursor"),
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

    /// The newest first.
    pub(super) fn of(&self, jobs: &Jobs) -> Value {
        let fitting = |job: &&super::jobs::Job| {
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

/// Nobody shall guess at the meaning of a cursor.
const MASK: u64 = 0x5bd1_e995_0a6c_3f27;
