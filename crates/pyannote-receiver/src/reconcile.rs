//! Makes the client of the API and the reconciler from the settings.

use pyannote_cli::Failure;
use pyannoteai_client::{Client, ConfigError};
use tower_pyannote_inbox::{Inbox, Reconciler};

use crate::{
    secrets::{Secrets, Setting},
    settings::{Reconcile, Settings},
};

/// Returns a reconciler that commits to `inbox`.
pub(crate) fn reconciler(
    settings: &Reconcile,
    client: Client,
    inbox: &Inbox,
) -> Result<Reconciler, Failure> {
    Reconciler::new(client, inbox.clone())
        .with_interval(settings.interval)
        .map_err(|error| Failure::usage(format!("--reconcile-interval: {error}")))?
        .with_grace(settings.grace)
        .map_err(|error| Failure::usage(format!("--reconcile-grace: {error}")))
}

/// Returns a client of the API.
pub(crate) fn client(settings: &Settings, secrets: &Secrets) -> Result<Client, Failure> {
    let key = secrets.api_key()?;
    let key = key.as_ref().map(Setting::as_text).transpose()?;
    build(&settings.reconcile, key).map_err(|error| match error {
        ConfigError::InvalidSetting {
            setting: "base url",
            ..
        } => Failure::usage(format!("--api-url (or PYANNOTEAI_API_URL): {error}")),
        error => Failure::usage(format!("{}: {error}", settings.flag_of_api_key())),
    })
}

fn build(settings: &Reconcile, key: Option<&str>) -> Result<Client, ConfigError> {
    let client = match key {
        Some(key) => Client::builder(key),
        None => Client::builder_from_env()?,
    };
    let mut client = client.with_rate_limit(settings.api_rate)?;
    if let Some(url) = &settings.api_url {
        client = client.with_base_url(url)?;
    }
    client.build()
}
