//! `--reconcile`: fetches events whose webhook did not arrive.

use std::time::Duration;

use clap::{
    Args,
    builder::{BoolishValueParser, RangedU64ValueParser},
};
use pyannote_cli::Failure;
use pyannoteai_client::{Client, ConfigError};
use tower_pyannote_inbox::{Inbox, Reconciler};

use crate::secrets::{self, Setting};

#[derive(Args)]
pub(crate) struct Reconcile {
    /// Fetch events whose webhook did not arrive, with the API key in PYANNOTEAI_API_KEY
    #[arg(long, env = "WEBHOOK_SERVER_RECONCILE", value_parser = BoolishValueParser::new())]
    reconcile: bool,

    /// The URL of the API [default: https://api.pyannote.ai]
    #[arg(long, env = "PYANNOTEAI_API_URL", value_name = "URL")]
    api_url: Option<String>,

    /// The maximum number of job reads a minute; pyannoteAI allows a team 300, or 100 requests of any kind under its older limit
    #[arg(
        long,
        env = "WEBHOOK_SERVER_API_RATE",
        value_name = "PER_MINUTE",
        default_value_t = 50,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=300)
    )]
    api_rate: u32,

    /// The pause between two passes, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    reconcile_interval: u64,

    /// How long to wait for the webhook after a submission, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    reconcile_grace: u64,
}

impl Reconcile {
    /// Returns the reconciler, if it is enabled.
    pub(crate) fn reconciler(&self, inbox: &Inbox) -> Result<Option<Reconciler>, Failure> {
        if !self.reconcile {
            return Ok(None);
        }
        let key = secrets::api_key()?;
        let key = key.as_ref().map(Setting::as_text).transpose()?;
        let client = self.client(key).map_err(|error| match error {
            ConfigError::InvalidSetting {
                setting: "base url",
                ..
            } => Failure::usage(format!("--api-url (or PYANNOTEAI_API_URL): {error}")),
            error => Failure::usage(format!("--reconcile: {error}")),
        })?;
        let reconciler = Reconciler::new(client, inbox.clone())
            .with_interval(Duration::from_secs(self.reconcile_interval))
            .map_err(|error| Failure::usage(format!("--reconcile-interval: {error}")))?
            .with_grace(Duration::from_secs(self.reconcile_grace))
            .map_err(|error| Failure::usage(format!("--reconcile-grace: {error}")))?;
        Ok(Some(reconciler))
    }

    fn client(&self, key: Option<&str>) -> Result<Client, ConfigError> {
        let client = match key {
            Some(key) => Client::builder(key),
            None => Client::builder_from_env()?,
        };
        let mut client = client.with_rate_limit(self.api_rate)?;
        if let Some(url) = &self.api_url {
            client = client.with_base_url(url)?;
        }
        client.build()
    }
}
