//! How events are printed: as a table, as rows, and as JSON.

use std::time::SystemTime;

use pyannote_cli::plain;
use serde::Serialize;
use tower_pyannote::event::JobMetadata;
use tower_pyannote_inbox::{InboxEntry, UnansweredSubmission};

/// An event of the inbox, without its body.
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: &'a str,
    job_id: &'a str,
    status: &'a str,
    kind: Option<&'static str>,
    reference: Option<&'a str>,
    metadata: Option<&'a JobMetadata>,
    source: &'static str,
    state: &'static str,
    failed_attempts: u32,
    bytes: u64,
    received_at: Option<String>,
    finished_at: Option<String>,
    conflicts: u64,
    last_error: Option<&'a str>,
}

impl<'a> View<'a> {
    pub(super) fn new(entry: &'a InboxEntry) -> Self {
        Self {
            id: &entry.id,
            job_id: &entry.job_id,
            status: &entry.status,
            kind: entry.kind.map(|kind| kind.as_str()),
            reference: entry.reference.as_deref(),
            metadata: entry.metadata.as_ref(),
            source: entry.source.as_str(),
            state: entry.state.as_str(),
            failed_attempts: entry.attempts,
            bytes: entry.bytes,
            received_at: when(entry.received_at),
            finished_at: entry.finished_at.and_then(when),
            conflicts: entry.conflicts,
            last_error: entry.last_error.as_deref(),
        }
    }
}

pub(super) fn table(entries: &[InboxEntry]) -> String {
    let mut text = format!(
        "{:<26}  {:<7}  {:>8}  {:>11}  {:<20}  {:<14}  {:<9}  {}\n",
        "ID", "STATE", "FAILURES", "BYTES", "RECEIVED", "KIND", "STATUS", "JOB"
    );
    for entry in entries {
        let view = View::new(entry);
        text += &format!(
            "{:<26}  {:<7}  {:>8}  {:>11}  {:<20}  {:<14}  {:<9}  {}\n",
            view.id,
            view.state,
            view.failed_attempts,
            view.bytes,
            or_dash(view.received_at.as_deref()),
            or_dash(view.kind),
            plain(view.status),
            plain(view.job_id),
        );
    }
    text
}

pub(super) fn rows(entry: &InboxEntry) -> String {
    let view = View::new(entry);
    let rows = [
        ("id", view.id.to_owned()),
        ("job", plain(view.job_id)),
        ("status", plain(view.status)),
        ("kind", or_dash(view.kind).to_owned()),
        ("reference", plain(or_dash(view.reference))),
        (
            "metadata",
            plain(or_dash(view.metadata.map(JobMetadata::as_str))),
        ),
        ("source", view.source.to_owned()),
        ("state", view.state.to_owned()),
        ("failed attempts", view.failed_attempts.to_string()),
        ("bytes", view.bytes.to_string()),
        ("received", or_dash(view.received_at.as_deref()).to_owned()),
        ("finished", or_dash(view.finished_at.as_deref()).to_owned()),
        ("conflicts", view.conflicts.to_string()),
        ("last error", plain(or_dash(view.last_error))),
    ];
    rows.iter()
        .map(|(name, value)| format!("{name:<16} {value}\n"))
        .collect()
}

/// A submission whose answer was lost.
#[derive(Serialize)]
pub(super) struct Unanswered<'a> {
    id: &'a str,
    reference: Option<&'a str>,
    metadata: Option<&'a JobMetadata>,
    kind: Option<&'static str>,
    begun_at: Option<String>,
    ended_at: Option<String>,
}

impl<'a> Unanswered<'a> {
    pub(super) fn new(submission: &'a UnansweredSubmission) -> Self {
        Self {
            id: &submission.id,
            reference: submission.reference.as_deref(),
            metadata: submission.metadata.as_ref(),
            kind: submission.kind.map(|kind| kind.as_str()),
            begun_at: when(submission.begun_at),
            ended_at: when(submission.ended_at),
        }
    }
}

pub(super) fn unanswered(submissions: &[UnansweredSubmission]) -> String {
    let mut text = format!(
        "{:<32}  {:<20}  {:<14}  REFERENCE\n",
        "SUBMISSION", "BEGUN", "KIND"
    );
    for submission in submissions {
        let view = Unanswered::new(submission);
        text += &format!(
            "{:<32}  {:<20}  {:<14}  {}\n",
            plain(view.id),
            or_dash(view.begun_at.as_deref()),
            or_dash(view.kind),
            plain(or_dash(view.reference)),
        );
    }
    text
}

fn or_dash(text: Option<&str>) -> &str {
    text.unwrap_or("-")
}

fn when(time: SystemTime) -> Option<String> {
    let time = jiff::Timestamp::try_from(time).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
