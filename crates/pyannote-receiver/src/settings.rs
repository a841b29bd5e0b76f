use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{doctor::Case, inbox, reconcile::Reconcile};

/// Receives pyannoteAI's webhooks: verifies each, commits it to an inbox, then logs it and keeps it in a file.
#[derive(Parser)]
#[command(name = "pyannote-receiver", version, after_help = AFTER_HELP, args_conflicts_with_subcommands = true)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: Serve,

    /// Logs more; RUST_LOG, if set, says what instead
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// Where events are kept; the server makes it if it is not there
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "data/interim"
    )]
    pub(crate) data_dir: PathBuf,

    /// The inbox's database: sqlite://FILE, or postgres://USER:PASSWORD@HOST/DATABASE for many servers [default:
    /// inbox.sqlite in the data directory]
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database_url: Option<String>,
}

/// How to serve.
#[derive(Args)]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(long, env = "WEBHOOK_SERVER_HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// The port to listen on; 0 takes a free one
    #[arg(long, env = "WEBHOOK_SERVER_PORT", default_value_t = 8000)]
    pub(crate) port: u16,

    #[command(flatten)]
    pub(crate) reconcile: Reconcile,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serves, as without a command
    Serve(Box<Serve>),
    Doctor(Case),
    #[command(subcommand)]
    Inbox(inbox::Command),
}

pub(crate) const SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const AFTER_HELP: &str = "\
Environment, or `.env` in this directory:
  PYANNOTEAI_WEBHOOK_SECRET  the webhook secret; while it is being rotated: new,old
  PYANNOTEAI_API_KEY         the API key, for --reconcile";
