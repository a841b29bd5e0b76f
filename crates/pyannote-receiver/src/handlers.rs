use std::time::Duration;

use tower_pyannote::{
    Diarization, HandlerError, HandlerRegistry, Identification, Output, TypedEvent, Voiceprint,
    WebhookEvent, WebhookHandler, event::Turns,
};
use tower_pyannote_archive::Archive;

/// Returns the handlers of every receiver: `archive`, then `log`.
pub(crate) fn registry(archive: Archive) -> HandlerRegistry {
    HandlerRegistry::new()
        .register("archive", archive)
        .and_then(|registry| registry.register("log", Log))
        .and_then(|registry| registry.with_handler_timeout(TIMEOUT))
        .expect("the names differ and the timeout is not zero")
}

/// Logs a line about each event. The span around it has the job id, the kind, the status and the attempt.
struct Log;

impl WebhookHandler for Log {
    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        if let Some(warning) = event.warning() {
            tracing::warn!(warning, "the event has a warning of pyannoteAI");
        }
        Ok(())
    }

    async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
        let output = event.output();
        let words = output.word_level_transcription.len();
        log_turns("diarization", &output.diarization, words);
        Ok(())
    }

    async fn identification(&self, event: &TypedEvent<Identification>) -> Result<(), HandlerError> {
        log_turns("identification", &event.output().turns(), 0);
        Ok(())
    }

    async fn voiceprint(&self, event: &TypedEvent<Voiceprint>) -> Result<(), HandlerError> {
        let characters = event.output().voiceprint.len();
        tracing::info!(characters, "voiceprint");
        Ok(())
    }

    async fn status_only(&self, _: &WebhookEvent) -> Result<(), HandlerError> {
        tracing::info!("success without output");
        Ok(())
    }

    async fn failed(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        tracing::warn!(error = event.error(), "the job failed");
        Ok(())
    }

    async fn canceled(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        tracing::info!(error = event.error(), "the job was canceled");
        Ok(())
    }

    async fn unknown(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let unknown = event.output().and_then(Output::as_unknown);
        let reason = unknown.map(|output| output.reason().to_string());
        tracing::warn!(
            reason,
            "the output or the status is of an unknown kind; the archive keeps the event whole"
        );
        Ok(())
    }
}

fn log_turns(kind: &str, turns: &Turns, words: usize) {
    tracing::info!(
        turns = turns.len(),
        speakers = turns.speakers().len(),
        words,
        duration = tenths(turns.duration()),
        talk_time = tenths(turns.talk_time()),
        overlap = tenths(turns.overlap()),
        "{kind}"
    );
}

/// Rounds seconds to tenths.
fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

/// Longer than pyannoteAI waits for an answer, because the delivery was answered when it was committed.
const TIMEOUT: Duration = Duration::from_secs(60);
