use std::{
    io::{self, Write},
    path::PathBuf,
};

use clap::{CommandFactory, Parser, Subcommand};
use tower_pyannote::SecretSet;

use crate::{inbox, doctor::Case, reconcile::Reconcile};
use crate::failure::{Failure, read_env_file};

/// What the server is told: by flags first, then by the environment, then by `.env`.
pub(crate) struct Settings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) data_dir: PathBuf,
    pub(crate) database_url: Option<String>,
    pub(crate) secrets: SecretSet,
    pub(crate) reconcile: Reconcile,
}

impl Settings {
    pub(crate) fn of(flags: Flags) -> Result<Self, Failure> {
        let secrets = SecretSet::from_env(SECRET).map_err(|error| Failure::usage(&error))?;
        Ok(Self {
            host: flags.host,
            port: flags.port,
            data_dir: flags.data_dir,
            database_url: flags.database_url,
            secrets,
            reconcile: flags.reconcile,
        })
    }
}

/// Receives pyannoteAI's webhooks: verifies them, commits each to an inbox, and then logs it and keeps it in a file.
#[derive(Parser)]
#[command(name = "server", version, after_help = AFTER_HELP)]
pub(crate) struct Flags {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Where to listen
    #[arg(long, env = "WEBHOOK_SERVER_HOST", default_value = "127.0.0.1")]
    host: String,

    /// The port to listen on; 0 takes a free one
    #[arg(long, env = "WEBHOOK_SERVER_PORT", default_value_t = 8000)]
    port: u16,

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

    #[command(flatten)]
    reconcile: Reconcile,
}

impl Flags {
    /// Reads them; `None` if it was only asked for help or version, which were then given.
    ///
    /// No other thread may run yet, as `.env` goes into the environment.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        read_env_file()?;
        match Self::try_parse() {
            Ok(flags) => Ok(Some(flags)),
            Err(error) if error.use_stderr() => Err(Failure::of_clap(&error, &Self::command())),
            Err(asked) => {
                let _ = write!(io::stdout(), "{asked}");
                Ok(None)
            }
        }
    }
}

/// What to do in place of serving.
#[derive(Subcommand)]
pub(crate) enum Command {
    Doctor(Case),
    #[command(subcommand)]
    Inbox(inbox::Command),
}

pub(crate) const SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const AFTER_HELP: &str = "\
Environment, or `.env` in this directory:
  PYANNOTEAI_WEBHOOK_SECRET  the webhook secret; while it is being rotated: new,old
  PYANNOTEAI_API_KEY         the API key, for --reconcile";
