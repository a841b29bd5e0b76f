//! The event parser accepts the syntax that serde_json accepts, types outputs as a reference does, and never panics.
#![no_main]

use std::collections::HashMap;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use tower_pyannote::{Kind, Output, Status, WebhookEvent, event::Delivery};
use tower_pyannote_fuzz::now;
use tower_pyannote_naive as naive;

fuzz_target!(|body: &[u8]| {
    let reference = reference(body);
    let event = match WebhookEvent::new(Bytes::copy_from_slice(body), Delivery::at(now())) {
        Ok(event) => event,
        Err(error) => {
            let named = matches!(reference, Reference::Job(..));
            return assert!(!named, "a body that names its job is accepted: {error}");
        }
    };
    assert_eq!(event.raw(), body);
    match reference {
        Reference::NoJob => panic!("an accepted body names its job"),
        Reference::Job(job_id, value) => {
            assert_eq!(event.job_id(), job_id);
            if let Some(value) = value {
                agrees(&event, &value);
            }
        }
        Reference::Beyond => {}
    }

    match event.output() {
        Some(Output::Diarization(output)) => {
            assert_eq!(event.kind().unwrap_or(Kind::Diarization), Kind::Diarization);
            let turns = &output.diarization;
            let _ = (
                turns.talk_time(),
                turns.overlap(),
                turns.speech_time(),
                turns.duration(),
            );
            let _ = (turns.speakers().len(), turns.between(0.0..10.0).count());
            for line in turns.to_rttm(event.job_id()).lines() {
                assert_eq!(line.split(' ').count(), 10, "{line}");
            }
            let transcript = &output.turn_level_transcription;
            let _ = (transcript.text(), transcript.to_srt());
            assert!(transcript.to_webvtt().starts_with("WEBVTT\n"));
        }
        Some(Output::Identification(output)) => {
            let _ = output.turns().to_rttm(event.job_id());
        }
        Some(Output::Unknown(output)) => {
            let _ = output.parse::<IgnoredAny>();
        }
        _ => {}
    }
    let _ = (
        event.error(),
        event.warning(),
        event.created_at(),
        event.updated_at(),
    );
    let _ = format!("{event:?}");
});

/// Asserts that kind and output are those of the reference, field by field.
fn agrees(event: &WebhookEvent, value: &Value) {
    let output = value.get("output").filter(|output| !output.is_null());
    let typed = event.output().map(naive::written);
    assert_eq!(typed, output.map(naive::typed));
    // The output of a failed job has no kind.
    let has_kind = !matches!(event.status(), Status::Failed | Status::Canceled);
    assert_eq!(event.kind(), output.map(naive::kind).filter(|_| has_kind));
}

/// A body as serde_json reads it.
enum Reference {
    /// The body is not JSON, or names no job.
    NoJob,
    /// The job, and the whole body if a `Value` can hold it: not too deep, and no number out of range.
    Job(String, Option<Value>),
    /// JSON that serde_json cannot read: half a surrogate pair in a key.
    Beyond,
}

fn reference(body: &[u8]) -> Reference {
    let Ok(text) = std::str::from_utf8(body) else {
        return Reference::NoJob;
    };
    if serde_json::from_str::<IgnoredAny>(text).is_err() {
        return Reference::NoJob;
    }
    if !text.trim_start().starts_with('{') {
        return Reference::NoJob;
    }
    let job = |job_id: Option<String>, value| match job_id {
        Some(job_id) if !job_id.is_empty() => Reference::Job(job_id, value),
        _ => Reference::NoJob,
    };
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        let job_id = value.get("jobId").and_then(Value::as_str);
        return job(job_id.map(str::to_owned), Some(value.clone()));
    }
    match serde_json::from_str::<HashMap<String, &RawValue>>(text) {
        Ok(fields) => {
            let job_id = fields.get("jobId");
            let job_id = job_id.and_then(|id| serde_json::from_str(id.get()).ok());
            job(job_id, None)
        }
        Err(_) => Reference::Beyond,
    }
}
