//! `--fetch-output`: fetches the output of events that have only the status.

use std::sync::Arc;

use pyannoteai_client::{Client, FetchOutput};
use tokio::sync::watch;
use tower_pyannote::{
    ConfigError, HandlerError, HandlerRegistry, WebhookEvent, handler::EventPreparation,
};

/// Fetches through the client of the moment, which changes with the API key.
#[derive(Clone)]
pub(crate) struct Fetch(Arc<watch::Sender<FetchOutput>>);

impl Fetch {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(watch::Sender::new(FetchOutput::new(client))))
    }

    /// Makes the handlers get events with their output.
    pub(crate) fn prepare(
        &self,
        registry: HandlerRegistry,
    ) -> Result<HandlerRegistry, ConfigError> {
        registry.with_preparation("fetch-output", self.clone())
    }

    /// Fetches through another client from now on.
    pub(crate) fn replace(&self, client: Client) {
        let _ = self.0.send_replace(FetchOutput::new(client));
    }
}

impl EventPreparation for Fetch {
    async fn prepare(&self, event: WebhookEvent) -> Result<WebhookEvent, HandlerError> {
        let fetch = self.0.borrow().clone();
        fetch.prepare(event).await
    }
}
