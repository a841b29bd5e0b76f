use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    deliver::Delivery, doctor::Case, health::Health, inbox, reconcile::Reconcile,
};

/// Receives pyannoteAI's webhooks: verifies each, commits it to an inbox, then runs handlers that archive and log it
#[derive(Parser)]
#[command(
    name = "pyannote-receiver",
    version,
    after_help = AFTER_HELP,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    #[command(flatten)]
    pub(crate) serve: Serve,

    /// Log at level debug; RUST_LOG takes precedence
    #[arg(long, global = true)]
    pub(crate) debug: bool,

    /// The directory of the archive and of the SQLite inbox; created if it does not exist
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "data/interim"
    )]
    pub(crate) data_dir: PathBuf,

    /// The inbox's database: sqlite://FILE, or postgres://USER:PASSWORD@HOST/DATABASE, which several servers can share
    /// [default: inbox.sqlite in the data directory]
    #[arg(
        long,
        global = true,
        env = "DATABASE_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub(crate) database_url: Option<String>,
}

/// Serve the endpoints; also the default without a command
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Serve {
    /// The address to listen on; 0.0.0.0 for all interfaces
    #[arg(long, env = "WEBHOOK_SERVER_HOST", default_value = "127.0.0.1")]
    pub(crate) host: String,

    /// The port to listen on; 0 for a free port
    #[arg(short, long, env = "WEBHOOK_SERVER_PORT", default_value_t = 8000)]
    pub(crate) port: u16,

    /// The store of the archive: file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX; the
    /// environment has the credentials, as AWS_*, GOOGLE_* or AZURE_* [default: the data directory]
    #[arg(long, env = "WEBHOOK_SERVER_ARCHIVE", value_name = "URL")]
    pub(crate) archive: Option<String>,

    /// Commit events without handling them; they wait for a receiver with handlers on the same database
    #[arg(long)]
    pub(crate) no_handlers: bool,

    #[command(flatten)]
    pub(crate) reconcile: Reconcile,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    Serve(Box<Serve>),
    #[command(subcommand)]
    Inbox(inbox::Command),
    Doctor(Case),
    Deliver(Delivery),
    Health(Health),
}

const AFTER_HELP: &str = "\
Environment variables, which the file .env in the current directory can also set:
  PYANNOTEAI_WEBHOOK_SECRET  the webhook secret; during a rotation both, as new,old
  PYANNOTEAI_API_KEY         the API key, for --reconcile
  *_FILE                     instead of either: a file that contains the value
  RUST_LOG                   what to log, such as info,tower_pyannote=debug

Examples:
  pyannote-receiver --port 8000 --data-dir /var/lib/pyannote
  pyannote-receiver serve --host 0.0.0.0 --database-url postgres://user:password@db/pyannote
  pyannote-receiver --archive s3://meetings/events
  pyannote-receiver --reconcile
  pyannote-receiver inbox list --state dead";
