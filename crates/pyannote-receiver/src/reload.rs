//! Reads the secrets again at SIGHUP.

use pyannote_cli::{Failure, Hangup};
use tower_pyannote_inbox::Inbox;
use zeroize::Zeroizing;

use crate::{
    fetch::Fetch,
    forward, reconcile,
    rotation::Rotation,
    secrets::Secrets,
    settings::{Role, Settings},
};

/// The parts of a running receiver that use secrets.
pub(crate) struct Reload<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) secrets: &'a Secrets,
    pub(crate) inbox: &'a Inbox,
    pub(crate) fetch: Option<Fetch>,
    pub(crate) passed_on: forward::Handlers,
    pub(crate) rotation: Rotation,
}

impl Reload<'_> {
    /// Reads the secrets again at each signal. A secret that cannot be read or is invalid stays as it was.
    pub(crate) async fn at_each(&self, mut hangup: Hangup) {
        let mut key = self.api_key().ok().flatten();
        loop {
            hangup.next().await;
            if self.settings.has(Role::Receive) {
                log("the webhook secret", self.webhook());
            }
            if self.settings.needs_api_key() {
                log("the API key", self.client(&mut key));
            }
            let passed_on = &self.settings.pass_on;
            for (name, result) in self.passed_on.reload(passed_on, self.secrets) {
                log(&format!("the secret of {name}"), result);
            }
        }
    }

    fn webhook(&self) -> Result<(), Failure> {
        let secrets = self.secrets.webhook()?.to_set()?;
        self.rotation.replace_secrets(secrets);
        Ok(())
    }

    /// Replaces the client if the API key differs, because a new reconciler waits for the lease of the old one.
    fn client(&self, key: &mut Option<Zeroizing<Vec<u8>>>) -> Result<(), Failure> {
        let new = self.api_key()?;
        if new == *key {
            return Ok(());
        }
        let settings = &self.settings.reconcile;
        let client = reconcile::client(self.settings, self.secrets)?;
        if let Some(fetch) = &self.fetch {
            fetch.replace(client.clone());
        }
        if self.settings.has(Role::Reconcile) {
            let reconciler = reconcile::reconciler(settings, client, self.inbox)?;
            self.rotation.replace_reconciler(reconciler);
        }
        *key = new;
        Ok(())
    }

    fn api_key(&self) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
        let key = self.secrets.api_key()?;
        Ok(key.map(|key| Zeroizing::new(key.as_bytes().to_vec())))
    }
}

fn log(secret: &str, read: Result<(), Failure>) {
    match read {
        Ok(()) => tracing::info!("SIGHUP: {secret} was read again"),
        Err(error) => {
            tracing::error!(%error, "SIGHUP: {secret} cannot be read; the one before stays in use");
        }
    }
}
