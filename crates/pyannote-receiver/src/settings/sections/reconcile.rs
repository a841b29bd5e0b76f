use std::{path::PathBuf, time::Duration};

use clap::{
    ArgAction, Args,
    builder::{BoolishValueParser, RangedU64ValueParser},
};

use crate::settings::values::duration;

// Fetches events whose webhook did not arrive.
#[derive(Args)]
#[command(next_help_heading = "Lost events")]
pub(crate) struct Reconcile {
    /// Fetch events whose webhook did not arrive, with the API key in PYANNOTEAI_API_KEY
    #[arg(
        id = "reconcile.enabled",
        long = "reconcile",
        env = "WEBHOOK_SERVER_RECONCILE",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    pub(crate) enabled: bool,

    /// A file that contains the API key
    #[arg(
        id = "reconcile.api_key_file",
        long = "api-key-file",
        env = "PYANNOTEAI_API_KEY_FILE",
        value_name = "FILE"
    )]
    api_key_file: Option<PathBuf>,

    /// The URL of the API [default: https://api.pyannote.ai]
    #[arg(
        id = "reconcile.api_url",
        long = "api-url",
        env = "PYANNOTEAI_API_URL",
        value_name = "URL"
    )]
    pub(crate) api_url: Option<String>,

    /// The maximum number of job reads a minute; pyannoteAI allows a team 300, or 100 requests of any kind under its older limit
    #[arg(
        id = "reconcile.api_rate",
        long = "api-rate",
        env = "WEBHOOK_SERVER_API_RATE",
        value_name = "PER_MINUTE",
        default_value_t = 50,
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=300)
    )]
    pub(crate) api_rate: u32,

    /// The pause between two passes
    #[arg(
        id = "reconcile.interval",
        long = "reconcile-interval",
        env = "WEBHOOK_SERVER_RECONCILE_INTERVAL",
        value_name = "DURATION",
        default_value = "5m",
        value_parser = duration
    )]
    pub(crate) interval: Duration,

    /// How long to wait for the webhook after a submission
    #[arg(
        id = "reconcile.grace",
        long = "reconcile-grace",
        env = "WEBHOOK_SERVER_RECONCILE_GRACE",
        value_name = "DURATION",
        default_value = "10m",
        value_parser = duration
    )]
    pub(crate) grace: Duration,
}
