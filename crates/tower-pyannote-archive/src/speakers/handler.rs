use std::fmt;

use tower_pyannote::{HandlerError, TypedEvent, Voiceprint, WebhookEvent, WebhookHandler};

use super::{Speakers, SpeakersError};

/// A handler that keeps the voiceprint of each voiceprint job that succeeds, from [`Speakers::handler`].
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
        let Some(label) = (self.label_of)(event.webhook_event()) else {
            return Ok(());
        };
        let kept = self.speakers.keep(&label, &event.output().voiceprint).await;
        kept.map_err(|error| match error {
            SpeakersError::Store { .. } => HandlerError::new(error),
            error => HandlerError::permanent(error),
        })
    }
}

impl<F> fmt::Debug for SpeakersHandler<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SpeakersHandler")
            .field(&self.speakers)
            .finish()
    }
}
