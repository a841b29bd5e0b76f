use std::{borrow::Cow, error::Error, time::SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tower_pyannote::{
    Kind, WebhookEvent,
    event::{Delivery, JobMetadata, Retry, Source, Text},
};
use tower_pyannote_inbox::{ImportedState, InboxEntry, InboxState};

/// An event with its body, as a line of an export.
#[derive(Serialize, Deserialize)]
pub(super) struct Line<'a> {
    /// The id in the inbox that was exported. The export continues after it.
    id: Cow<'a, str>,
    state: Cow<'a, str>,
    failed_attempts: u32,
    received_at: Cow<'a, str>,
    finished_at: Option<Cow<'a, str>>,
    last_error: Option<Cow<'a, str>>,
    /// The time in the signed header, in Unix seconds.
    signed_at: u64,
    retry_number: Option<u32>,
    retry_reason: Option<Cow<'a, str>>,
    /// `webhook` or `api`.
    source: Cow<'a, str>,
    reference: Option<Cow<'a, str>>,
    /// A JSON text.
    metadata: Option<Cow<'a, str>>,
    job_kind: Option<Cow<'a, str>>,
    body: Cow<'a, str>,
}

impl<'a> Line<'a> {
    pub(super) fn new(entry: &'a InboxEntry, event: &'a WebhookEvent) -> Self {
        let retry = event.retry();
        let reason = retry.and_then(|retry| retry.reason.as_ref());
        Self {
            id: entry.id.as_str().into(),
            state: entry.state.as_str().into(),
            failed_attempts: entry.attempts,
            received_at: timestamp(entry.received_at).into(),
            finished_at: entry.finished_at.map(|time| timestamp(time).into()),
            last_error: entry.last_error.as_deref().map(Cow::from),
            signed_at: event.timestamp(),
            retry_number: retry.map(|retry| retry.number),
            retry_reason: reason.map(|reason| reason.as_str().into()),
            source: source_name(event.source()).into(),
            reference: event.reference().map(Cow::from),
            metadata: event.metadata().map(|metadata| metadata.as_str().into()),
            job_kind: event.job_kind().map(|kind| kind.as_str().into()),
            // An event is UTF-8.
            body: String::from_utf8_lossy(event.raw()),
        }
    }

    /// Returns the event, and its state in the inbox that was exported.
    pub(super) fn read(self) -> Result<(WebhookEvent, ImportedState), Box<dyn Error>> {
        let number = self.retry_number.map(|number| number.to_string());
        let retry = Retry::from_headers(
            number.as_deref().map(str::as_bytes),
            self.retry_reason.as_deref().map(str::as_bytes),
        );
        let metadata = self.metadata.map(|json| JobMetadata::from_json(&*json));
        let kind = self.job_kind.as_deref();
        let delivery = Delivery::at(time(&self.received_at)?)
            .with_timestamp(self.signed_at)
            .with_retry(retry)
            .with_job_kind(KINDS.into_iter().find(|known| Some(known.as_str()) == kind))
            .with_source(match &*self.source {
                "api" => Source::Api,
                _ => Source::Webhook,
            })
            .with_reference(self.reference.map(|text| Text::from(&*text)))
            .with_metadata(metadata.transpose()?);
        let event = WebhookEvent::new(self.body.into_owned().into(), delivery)?;
        let state = match &*self.state {
            "handled" => InboxState::Handled,
            "dead" => InboxState::Dead,
            _ => InboxState::Waiting,
        };
        let finished_at = self.finished_at.as_deref().map(time).transpose()?;
        let state = ImportedState::new(state)
            .with_attempts(self.failed_attempts)
            .with_finished_at(finished_at)
            .with_last_error(self.last_error.map(Cow::into_owned));
        Ok((event, state))
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Api => "api",
        _ => "webhook",
    }
}

fn timestamp(time: SystemTime) -> String {
    Timestamp::try_from(time).unwrap_or_default().to_string()
}

fn time(text: &str) -> Result<SystemTime, jiff::Error> {
    text.parse::<Timestamp>()?.try_into()
}

const KINDS: [Kind; 4] = [
    Kind::Diarization,
    Kind::Identification,
    Kind::Voiceprint,
    Kind::Unknown,
];
