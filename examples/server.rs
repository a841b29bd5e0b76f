//! The reference server: the program `pyannote-receiver`, with two handlers of its own.
//!
//! ```text
//! PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example server -- --port 8000 --data-dir data/interim
//! ```

use std::process::ExitCode;

use pyannote_receiver::Server;
use tower_pyannote::{Diarization, HandlerError, TypedEvent, WebhookEvent, WebhookHandler};

/// Writes who spoke for how long.
struct TalkTime;

impl WebhookHandler for TalkTime {
    async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
        for speaker in event.output().diarization.speakers() {
            let seconds = event.output().diarization.talk_time_of(speaker);
            tracing::info!(%speaker, seconds, "talk time");
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    Server::main(|handlers| {
        handlers
            .register("talk-time", TalkTime)?
            .on_failed("alert", async |event: WebhookEvent| {
                tracing::error!(error = event.error(), "look at this job");
                Ok(())
            })
    })
}
