use std::path::PathBuf;

use clap::{
    ArgAction, Args,
    builder::{BoolishValueParser, RangedU64ValueParser},
};
use pyannote_cli::LogFormat;

// The settings of every command.
#[derive(Args)]
pub(crate) struct Common {
    /// The settings file, in TOML
    #[arg(
        long,
        global = true,
        env = "PYANNOTE_RECEIVER_CONFIG",
        value_name = "FILE"
    )]
    pub(crate) config: Option<PathBuf>,

    /// Log at level debug; RUST_LOG takes precedence
    #[arg(
        id = "log.debug",
        long = "debug",
        global = true,
        env = "WEBHOOK_SERVER_DEBUG",
        value_name = "BOOL",
        hide_possible_values = true,
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new(),
        action = ArgAction::Set
    )]
    pub(crate) debug: bool,

    /// The format of log lines
    #[arg(
        id = "log.format",
        long = "log-format",
        global = true,
        env = "WEBHOOK_SERVER_LOG_FORMAT",
        value_name = "FORMAT",
        value_enum,
        default_value_t = LogFormat::Auto
    )]
    pub(crate) log_format: LogFormat,

    /// A file to log to in addition to stderr; its name gets the date, and a new file begins every day
    #[arg(
        id = "log.file",
        long = "log-file",
        global = true,
        env = "WEBHOOK_SERVER_LOG_FILE",
        value_name = "PATH"
    )]
    pub(crate) log_file: Option<PathBuf>,

    /// How many log files are kept
    #[arg(
        id = "log.keep",
        long = "log-keep",
        global = true,
        env = "WEBHOOK_SERVER_LOG_KEEP",
        value_name = "COUNT",
        default_value_t = 14,
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=3650)
    )]
    pub(crate) log_keep: usize,

    /// Send traces to this OpenTelemetry collector, such as http://127.0.0.1:4318; needs a build with the feature otel
    #[arg(
        id = "log.otlp_endpoint",
        long = "otlp-endpoint",
        global = true,
        env = "WEBHOOK_SERVER_OTLP_ENDPOINT",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) otlp_endpoint: Option<String>,
}

// Where the webhook secret is.
#[derive(Args)]
#[command(next_help_heading = "Secrets")]
pub(crate) struct WebhookSecret {
    /// A file that contains the webhook secret; it is read again at SIGHUP
    #[arg(
        id = "webhook.secret_file",
        long = "webhook-secret-file",
        env = "PYANNOTEAI_WEBHOOK_SECRET_FILE",
        value_name = "FILE"
    )]
    secret_file: Option<PathBuf>,
}
