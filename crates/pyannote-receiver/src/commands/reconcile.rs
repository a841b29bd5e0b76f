//! `--reconcile`: what the server fetches by itself.

use std::time::Duration;

use clap::{
    Args,
    builder::{BoolishValueParser, RangedU64ValueParser},
};
use pyannoteai_client::{Client, ConfigError};
use tower_pyannote_inbox::{Inbox, Reconciler};

use pyannote_cli::Failure;

#[derive(Args)]
pub(crate) struct Reconcile {
    /// Fetches the events whose webhook did not come, in time, by the API key in PYANNOTEAI_API_KEY
    #[arg(long, env = "WEBHOOK_SERVER_RECONCILE", value_parser = BoolishValueParser::new())]
    reconcile: bool,

    /// Where the API is, if not where pyannoteAI has it: a simulator, for example
    #[arg(long, env = "PYANNOTEAI_API_URL", value_name = "URL")]
    api_url: Option<String>,

    /// How many requests a minute the API may be asked: 100 are the key's, with all that is submitted by it
    #[arg(
        long,
        env = "WEBHOOK_SERVER_API_RATE",
        value_name = "PER_MINUTE",
        default_value_t = 50,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=100)
    )]
    api_rate: u32,

    /// The pause between two looks at the API
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    reconcile_interval: u64,

    /// How long after its submission a job is left to its webhook
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    reconcile_grace: u64,
}

impl Reconcile {
    /// Makes the reconciler, if it is asked for.
    pub(crate) fn reconciler(&self, inbox: &Inbox) -> Result<Option<Reconciler>, Failure> {
        if !self.reconcile {
            return Ok(None);
        }
        let client = self.client().map_err(|error| match error {
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

    fn client(&self) -> Result<Client, ConfigError> {
        let mut client = Client::builder_from_env()?.with_rate_limit(self.api_rate)?;
        if let Some(url) = &self.api_url {
            client = client.with_base_url(url)?;
        }
        client.build()
    }
}
