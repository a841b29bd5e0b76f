use bytes::Bytes;
use object_store::{Attribute, Attributes};
use serde::Serialize;
use tower_pyannote::{
    WebhookEvent,
    event::{JobMetadata, RetryReason},
};

use crate::name;

/// Sets where an [`Archive`](crate::Archive) keeps the metadata of a delivery.
///
/// The metadata is the time at which the event was received, its source (a webhook, or the API), the number and the reason of
/// the retry that delivered it, and the [reference](tower_pyannote::WebhookEvent::reference) that was submitted with the job.
/// The number and the reason of the retry come from headers that are not signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metadata {
    /// Nowhere.
    #[default]
    None,
    /// In the metadata of the object, which costs no request. S3, Google Cloud Storage, Azure and the memory store have
    /// it. A local file system does not: there, the handler fails with an error that says so.
    ///
    /// The keys are `receivedat`, `source`, `retrynumber`, `retryreason` and `reference`. They have no hyphen, which Azure
    /// refuses, and no underscore, because proxies drop headers with one. The reference is percent-encoded, except for ASCII
    /// letters and digits, `-`, `_` and `.`. The content type is `application/json`.
    Attributes,
    /// In a JSON object of its own at `{prefix}/.meta/{name}.meta.json`, where `{name}` is the event's name without
    /// `.json`, in any store.
    ///
    /// The keys are `received_at`, `source`, `retry_number`, `retry_reason`, `reference` and `metadata`, which is the
    /// [JSON](tower_pyannote::WebhookEvent::metadata) that was submitted with the job. The archive writes this object before the
    /// event, so that each stored event has its metadata. It costs one more write, and on a local file system two more flushes
    /// of the disk. A listing of the prefix's events does not contain it, because it is in a directory of its own.
    Sidecar,
}

/// What is kept of a delivery.
#[derive(Serialize)]
struct Facts<'a> {
    received_at: String,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a JobMetadata>,
}

impl<'a> Facts<'a> {
    fn of(event: &'a WebhookEvent) -> Self {
        let retry = event.retry();
        let reason = retry.and_then(|retry| retry.reason.as_ref());
        Self {
            received_at: name::timestamp(event.received_at()).to_string(),
            source: event.source().as_str(),
            retry_number: retry.map(|retry| retry.number),
            retry_reason: reason.map(RetryReason::as_str),
            reference: event.reference(),
            metadata: event.metadata(),
        }
    }
}

pub(crate) fn attributes(event: &WebhookEvent) -> Attributes {
    let Facts {
        received_at,
        source,
        retry_number,
        retry_reason,
        reference,
        metadata: _,
    } = Facts::of(event);
    let facts = [
        ("receivedat", Some(received_at)),
        ("source", Some(source.to_owned())),
        ("retrynumber", retry_number.map(|number| number.to_string())),
        ("retryreason", retry_reason.map(header_safe)),
        ("reference", reference.map(percent_encoded)),
    ];
    let mut attributes = Attributes::new();
    attributes.insert(Attribute::ContentType, "application/json".into());
    for (key, value) in facts {
        if let Some(value) = value {
            attributes.insert(Attribute::Metadata(key.into()), value.into());
        }
    }
    attributes
}

pub(crate) fn sidecar(event: &WebhookEvent) -> Bytes {
    let json = serde_json::to_vec(&Facts::of(event));
    json.expect("numbers and texts have JSON").into()
}

/// Returns text that every store takes, without loss.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Returns text that every store accepts and that its signature covers unchanged. The sender of a delivery chooses the reason of
/// a retry.
fn header_safe(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let safe = text.chars().map(|c| if plain(c) { c } else { '-' });
    safe.take(LONGEST).collect()
}

const LONGEST: usize = 64;
