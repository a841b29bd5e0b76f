use std::{fmt, sync::Arc};

use axum::Router;
use tokio::sync::{mpsc, watch};
use tower_pyannote::SecretSet;
use tower_pyannote_inbox::Reconciler;

use crate::{app::Webhook, state::State};

/// Replaces secrets in a receiver that runs. [`BoundServer::rotation`](crate::BoundServer::rotation) returns it.
///
/// # Example: a new secret for the next deliveries
///
/// ```no_run
/// use pyannote_receiver::BoundServer;
/// use tower_pyannote::{SecretSet, verify::SecretError};
///
/// fn rotate(server: &BoundServer) -> Result<(), SecretError> {
///     let rotation = server.rotation();
///     rotation.replace_secrets(SecretSet::from_list("whs_new,whs_old")?);
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Rotation {
    pub(crate) webhook: Option<Arc<Served>>,
    pub(crate) reconcilers: mpsc::UnboundedSender<Reconciler>,
}

/// A service whose secrets can be replaced.
pub(crate) struct Served {
    webhook: Webhook,
    state: Arc<State>,
    /// The pages beside `/webhook`.
    pages: Router,
    service: watch::Sender<Router>,
}

impl Served {
    pub(crate) fn new(
        webhook: Webhook,
        secrets: SecretSet,
        state: Arc<State>,
        pages: Router,
    ) -> Self {
        let service = webhook.router(secrets, &state).merge(pages.clone());
        Self {
            webhook,
            state,
            pages,
            service: watch::Sender::new(service),
        }
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Router> {
        self.service.subscribe()
    }
}

impl Rotation {
    /// Verifies the deliveries whose headers arrive from now on with these secrets. Does nothing in a receiver without
    /// `/webhook`.
    pub fn replace_secrets(&self, secrets: SecretSet) {
        if let Some(served) = &self.webhook {
            let webhook = served.webhook.router(secrets, &served.state);
            let service = webhook.merge(served.pages.clone());
            let _ = served.service.send_replace(service);
        }
    }

    /// Stops the reconciler, and runs this one instead. Does nothing in a receiver without a reconciler.
    ///
    /// The new reconciler waits until the old one's lease expires, at most a minute.
    pub fn replace_reconciler(&self, reconciler: Reconciler) {
        // Fails once the receiver has stopped.
        let _ = self.reconcilers.send(reconciler);
    }
}

impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation").finish_non_exhaustive()
    }
}
