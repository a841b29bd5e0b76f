//! How a `WebhookEvent` reads documented bodies and all others.

mod assign;
mod envelope;
mod formats;
mod helpers;
mod json_test_suite;
mod memory;
mod output;
mod properties;
mod read_words;
mod reader;
mod typed;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_pyannote::{
    Diarization, Identification, Output, Voiceprint, WebhookEvent,
    event::{Delivery, EventError},
};

/// 2026-01-15T12:00:00Z.
const NOW: u64 = 1_768_478_400;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn try_event(body: impl AsRef<[u8]>) -> Result<WebhookEvent, EventError> {
    WebhookEvent::new(body.as_ref().to_vec().into(), Delivery::at(now()))
}

fn event(body: impl AsRef<[u8]>) -> WebhookEvent {
    let shown = String::from_utf8_lossy(body.as_ref())
        .chars()
        .take(200)
        .collect::<String>();
    try_event(body).unwrap_or_else(|error| panic!("{error}: {shown}"))
}

/// Returns the event of a succeeded job with this output.
fn with_output(output: &str) -> WebhookEvent {
    event(format!(
        r#"{{"jobId":"a","status":"succeeded","output":{output}}}"#
    ))
}

fn diarization(output: &str) -> Diarization {
    match with_output(output).output() {
        Some(Output::Diarization(diarization)) => diarization.clone(),
        other => panic!("{other:?} is no diarization: {output}"),
    }
}

fn identification(output: &str) -> Identification {
    match with_output(output).output() {
        Some(Output::Identification(identification)) => identification.clone(),
        other => panic!("{other:?} is no identification: {output}"),
    }
}

fn voiceprint(output: &str) -> Voiceprint {
    match with_output(output).output() {
        Some(Output::Voiceprint(voiceprint)) => voiceprint.clone(),
        other => panic!("{other:?} is no voiceprint: {output}"),
    }
}
