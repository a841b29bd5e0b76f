use std::{fmt, time::SystemTime};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use tower_pyannote::{Kind, WebhookEvent};

/// The parts of the file name of an event.
pub(crate) struct EventName {
    received: String,
    kind: &'static str,
    job: String,
    status: String,
}

impl EventName {
    pub(crate) fn of(event: &WebhookEvent) -> Self {
        Self {
            received: sortable(event.received_at()),
            kind: event.kind().map_or("none", Kind::as_str),
            job: safe(event.job_id()),
            status: safe(event.status().as_str()),
        }
    }

    /// Returns whether `name` may be the name of another delivery of the same event.
    pub(crate) fn is_of_same_event(&self, name: &str) -> bool {
        let parts = (|| {
            let (received, rest) = name.strip_suffix(SUFFIX)?.split_once('_')?;
            let (kind, rest) = rest.split_once('_')?;
            let (job, status) = rest.split_once('_')?;
            Some((received, kind, job, status))
        })();
        let Some((received, kind, job, status)) = parts else {
            return false;
        };
        is_sortable(received)
            && (1..=MAX_KIND).contains(&kind.len())
            && kind.bytes().all(|byte| byte.is_ascii_lowercase())
            && job == self.job
            && status == self.status
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            received,
            kind,
            job,
            status,
        } = self;
        write!(f, "{received}_{kind}_{job}_{status}{SUFFIX}")
    }
}

/// Returns the name of the claim of an event, which is the same for all its deliveries.
pub(crate) fn claim_of(event: &WebhookEvent) -> String {
    let job = event.job_id();
    let mut hash = Sha256::new();
    // The length separates the job id from the status.
    hash.update(format!("{}:", job.len()));
    hash.update(job);
    hash.update(event.status().as_str());
    base16ct::lower::encode_string(&hash.finalize())
}

/// Formats a time as text of fixed length that sorts by time.
fn sortable(time: SystemTime) -> String {
    timestamp(time).strftime("%Y%m%dT%H%M%S.%9fZ").to_string()
}

/// Returns a time between 1970 and 9999, the closest to `time`.
pub(crate) fn timestamp(time: SystemTime) -> Timestamp {
    match Timestamp::try_from(time) {
        Ok(time) => time.max(Timestamp::UNIX_EPOCH),
        Err(_) if time > SystemTime::UNIX_EPOCH => Timestamp::MAX,
        Err(_) => Timestamp::UNIX_EPOCH,
    }
}

/// Returns the name of the object with the metadata of the event that is stored under `name`.
pub(crate) fn sidecar_of(name: &str) -> String {
    let stem = name.strip_suffix(SUFFIX).unwrap_or(name);
    format!("{stem}.meta.json")
}

fn is_sortable(text: &str) -> bool {
    text.len() == SORTABLE.len()
        && text.bytes().zip(SORTABLE.bytes()).all(|(byte, like)| {
            if like == b'0' {
                byte.is_ascii_digit()
            } else {
                byte == like
            }
        })
}

/// Returns a part of a file name for `text`, a different one for each text.
///
/// Only hashed texts have a dot, so they never equal an unchanged text.
fn safe(text: &str) -> String {
    let unchanged = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if (1..=MAX_UNCHANGED).contains(&text.len()) && text.bytes().all(unchanged) {
        return text.to_owned();
    }
    let readable = text.chars().take(MAX_READABLE).map(|c| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_lowercase()
        } else {
            '-'
        }
    });
    let hash = base16ct::lower::encode_string(&Sha256::digest(text));
    readable
        .chain(".".chars())
        .chain(hash.chars().take(HASH_DIGITS))
        .collect()
}

const SUFFIX: &str = ".json";
const SORTABLE: &str = "00000000T000000.000000000Z";
const MAX_KIND: usize = 32;
const MAX_UNCHANGED: usize = 64;
const MAX_READABLE: usize = 40;
const HASH_DIGITS: usize = 32;
