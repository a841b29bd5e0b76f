use std::{error::Error, fs, path::Path, time::SystemTime};

use tower_pyannote::{Delivery, Output, WebhookEvent};

/// A file that holds an event.
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Kept {
    /// Reads all of a directory, in the order of their names, which is that in which they came.
    pub(crate) fn all_of(dir: &Path) -> Result<Vec<Self>, Box<dyn Error>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".json") {
                let bytes = fs::read(entry.path())?;
                all.push(Self { name, bytes });
            }
        }
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }

    pub(crate) fn event(&self) -> Result<WebhookEvent, Box<dyn Error>> {
        let delivery = Delivery::at(SystemTime::now());
        Ok(WebhookEvent::new(self.bytes.clone().into(), delivery)?)
    }
}

/// An event in a few words, taken from its typed output.
pub(crate) fn in_words(event: &WebhookEvent) -> String {
    let status = event.status();
    if event.kind().is_none() {
        return match event.error() {
            Some(error) => format!("{status}, without output: {error}"),
            None => format!("{status}, without output"),
        };
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
