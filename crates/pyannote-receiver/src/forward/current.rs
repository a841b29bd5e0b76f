use std::sync::Arc;

use tokio::sync::watch;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};
use tower_pyannote_forward::Forward;

/// Passes events to a [`Forward`] that a reload of the secrets replaces.
#[derive(Clone)]
pub(super) struct Current(Arc<watch::Sender<Forward>>);

impl Current {
    pub(super) fn new(forward: Forward) -> Self {
        Self(Arc::new(watch::Sender::new(forward)))
    }

    /// Passes later events to another [`Forward`]. Events in flight keep the old one.
    pub(super) fn replace(&self, forward: Forward) {
        let _ = self.0.send_replace(forward);
    }
}

impl WebhookHandler for Current {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let forward = self.0.borrow().clone();
        forward.send(event).await
    }
}
