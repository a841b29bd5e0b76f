//! The program `pyannote-simulator`, as a function.

mod common;
mod fault_flags;
mod serve;
mod trigger;

use std::{env, process::ExitCode};

use clap::{Parser, Subcommand};
use pyannote_cli::Failure;
use tokio::runtime::Runtime;
use tower_pyannote::{SecretSet, WebhookSecret};

use self::{serve::Serve, trigger::Trigger};

/// A look-alike of pyannoteAI for development and tests
#[derive(Parser)]
#[command(name = "pyannote-simulator", version, after_help = AFTER_HELP, arg_required_else_help = false)]
struct Flags {
    /// Log more; RUST_LOG, if it is set, takes precedence
    #[arg(long, global = true)]
    debug: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Box<Serve>),
    Trigger(Box<Trigger>),
}

/// Runs the program with the arguments and the environment of the process, and returns its exit code.
///
/// The code is 0 for success, 2 for settings that cannot be used, and 1 for any other failure, which includes a webhook of
/// `trigger` that was not accepted. Call it before any other thread runs, because it copies `.env` into the environment.
///
/// # Panics
///
/// Panics if the process already has a logger.
#[must_use]
pub fn run() -> ExitCode {
    try_run().unwrap_or_else(|failure| failure.report())
}

fn try_run() -> Result<ExitCode, Failure> {
    let Some(flags) = pyannote_cli::parse::<Flags>()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let secret = secret()?;
    pyannote_cli::log_to_stderr(flags.debug)?;
    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(async {
        match flags.command {
            Command::Serve(serve) => serve.run(secret).await,
            Command::Trigger(trigger) => trigger.run(secret).await,
        }
    });
    runtime.shutdown_background();
    result
}

/// Returns the first of the secrets in the environment, because a receiver's `.env` may also hold the old one.
fn secret() -> Result<WebhookSecret, Failure> {
    let _ = SecretSet::from_env(SECRET).map_err(Failure::usage)?;
    let secrets = env::var(SECRET).map_err(Failure::usage)?;
    let first = secrets.split(',').next().unwrap_or_default();
    WebhookSecret::new(first).map_err(Failure::usage)
}

const SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const AFTER_HELP: &str = "\
Environment, or `.env` in this directory:
  PYANNOTEAI_WEBHOOK_SECRET  the secret that signs webhooks; of several, separated by commas, the first";
