use std::sync::Arc;

use tokio::sync::watch;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};
use tower_pyannote_forward::Forward;

/// Forwards through the handler of the moment, which changes with the secrets.
#[derive(Clone)]
pub(super) struct Current(Arc<watch::Sender<Forward>>);

impl Current {
    pub(super) fn new(forward: Forward) -> Self {
        Self(Arc::new(watch::Sender::new(forward)))
    }

    /// Forwards through another handler from now on.
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
