use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tower_pyannote::{HandlerError, Output, WebhookEvent, WebhookHandler};

use crate::timeline;

/// A handler that prints each event, and counts how often it ran.
#[derive(Clone, Default)]
pub(crate) struct Teller(Arc<Mutex<BTreeMap<String, usize>>>);

impl Teller {
    /// The number of runs of each event, by job and status.
    pub(crate) fn met(&self) -> BTreeMap<String, usize> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl WebhookHandler for Teller {
    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let name = format!("{}:{}", event.job_id(), event.status());
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *met.entry(name).or_default() += 1;
        println!("  {}  {}", event.job_id(), in_words(event));
        if let Some(output) = event.output().and_then(Output::as_diarization) {
            print!("{}", timeline::draw(&output.diarization));
        }
        Ok(())
    }
}

/// Describes an event in a few words, from its typed output.
fn in_words(event: &WebhookEvent) -> String {
    let status = event.status();
    if event.kind().is_none() {
        let kind = event.job_kind().map_or("job", |kind| kind.as_str());
        let error = event.error().unwrap_or("no reason given");
        return format!("{kind} {status}: {error}");
    }
    match event.output() {
        Some(Output::Diarization(output)) => format!(
            "diarization: {} turns of {} speakers in {:.0} s, {} words",
            output.diarization.len(),
            output.diarization.speakers().len(),
            output.diarization.duration(),
            output.word_level_transcription.len(),
        ),
        Some(Output::Identification(output)) => {
            let turns = output.turns();
            let speakers: Vec<&str> = turns.speakers().into_iter().map(|who| &**who).collect();
            format!("identification: {}", speakers.join(", "))
        }
        Some(Output::Voiceprint(output)) => {
            format!("voiceprint: {} characters", output.voiceprint.len())
        }
        _ => "an output that this version does not know, kept whole".to_owned(),
    }
}
