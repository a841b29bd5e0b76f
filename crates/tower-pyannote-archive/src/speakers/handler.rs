use std::fmt;

use tower_pyannote::{HandlerError, TypedEvent, Voiceprint, WebhookEvent, WebhookHandler};

use super::{Speakers, SpeakersError};

/// Keeps the voiceprint of each voiceprint job that succeeds and was submitted with a reference, under the reference as its
/// label.
impl WebhookHandler for Speakers {
    async fn voiceprint(&self, event: &TypedEvent<Voiceprint>) -> Result<(), HandlerError> {
        match event.reference() {
            Some(label) => self.keep_of(label, event).await,
            None => Ok(()),
        }
    }
}

impl Speakers {
    async fn keep_of(
        &self,
        label: &str,
        event: &TypedEvent<Voiceprint>,
    ) -> Result<(), HandlerError> {
        let kept = self.keep(label, &event.output().voiceprint).await;
        kept.map_err(|error| match error {
            SpeakersError::Store { .. } => HandlerError::new(error),
            error => HandlerError::permanent(error),
        })
    }
}

/// A handler that keeps voiceprints under labels of your choice, from [`Speakers::handler`].
#[derive(Clone)]
#[must_use]
pub struct SpeakersHandler<F> {
    speakers: Speakers,
    label_of: F,
}

impl<F> SpeakersHandler<F> {
    pub(super) fn new(speakers: Speakers, label_of: F) -> Self {
        Self { speakers, label_of }
    }
}

impl<F> WebhookHandler for SpeakersHandler<F>
where
    F: Fn(&WebhookEvent) -> Option<String> + Send + Sync + 'static,
{
    async fn voiceprint(&self, event: &TypedEvent<Voiceprint>) -> Result<(), HandlerError> {
        match (self.label_of)(event.webhook_event()) {
            Some(label) => self.speakers.keep_of(&label, event).await,
            None => Ok(()),
        }
    }
}

impl<F> fmt::Debug for SpeakersHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpeakersHandler")
            .field(&self.speakers)
            .finish()
    }
}
