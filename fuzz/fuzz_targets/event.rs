//! The event parser takes the syntax that serde_json takes, and never panics on what it took.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tower_pyannote::{Delivery, Kind, Output, WebhookEvent};
use tower_pyannote_fuzz::now;

fuzz_target!(|body: &[u8]| {
    let reference = reference(body);
    let event = match WebhookEvent::new(Bytes::copy_from_slice(body), Delivery::at(now())) {
        Ok(event) => event,
        Err(_) => return assert_eq!(reference, None, "a body that names its job is taken"),
    };
    let reference = reference.expect("a body that is taken names its job");
    assert_eq!(event.raw(), body);

    // Deep nesting is beyond serde_json's own Value.
    if let Some((job_id, value)) = reference {
        assert_eq!(event.job_id(), job_id);
        assert_eq!(
            event.output().is_some(),
            value.get("output").is_some_and(|output| !output.is_null())
        );
        if let Some(Output::Voiceprint(voiceprint)) = event.output() {
            assert_eq!(
                Some(&*voiceprint.voiceprint),
                value["output"]["voiceprint"].as_str()
            );
        }
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
            let _ = output.parse::<serde::de::IgnoredAny>();
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

/// What serde_json makes of the body: `None` if it names no job; the job and all of it otherwise, where serde_json can
/// hold that.
fn reference(body: &[u8]) -> Option<Option<(String, Value)>> {
    let text = std::str::from_utf8(body).ok()?;
    serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            let job_id = value
                .get("jobId")?
                .as_str()
                .filter(|job_id| !job_id.is_empty())?;
            Some(Some((job_id.to_owned(), value.clone())))
        }
        Err(_) => {
            // Too deep, a number out of range, or a lone surrogate: only whether it names its job is told.
            let names =
                body.windows(7).any(|window| window == b"\"jobId\"") || body.contains(&b'\\');
            names.then_some(None)
        }
    }
}
