//! The settings of the program: flags, environment variables, and a settings file, in this order.

mod apply;
mod file;
mod in_force;
mod sections;
mod values;

use std::{env, ffi::OsString, path::PathBuf};

use clap::{Arg, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use pyannote_cli::{Failure, Log, LogFile};

use self::file::{File, Known};
pub(crate) use self::{
    in_force::{InForce, Origin, REDACTED, Setting},
    sections::{
        Common, Database, Limits, Listen, PassOn, Reconcile, Settings, WebhookSecret, Worker,
    },
    values::{ArchiveMetadata, Private, Role, duration},
};
use crate::{
    commands::{check, config, deliver, doctor, generate, health, inbox},
    secrets::Secrets,
};

/// Receives pyannoteAI's webhooks: verifies each, commits it to an inbox, then runs handlers that archive and log it
#[derive(Parser)]
#[command(name = "pyannote-receiver", version, after_help = AFTER_HELP)]
pub(crate) struct Program {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Serve the endpoints; also the default without a command
    #[command(after_help = AFTER_HELP)]
    Serve(Box<Settings>),
    Check(Box<check::Check>),
    Config(Box<config::Config>),
    Inbox(inbox::Inbox),
    Doctor(doctor::Case),
    Deliver(deliver::Delivery),
    Health(health::Health),
    Completions(generate::Completions),
    Man(generate::Man),
    /// Make a token for the web page, and print it with its hash
    #[cfg(feature = "page")]
    PageToken,
}

/// A command and its settings.
pub(crate) struct Parsed {
    pub(crate) program: Program,
    pub(crate) secrets: Secrets,
    /// Where each value came from.
    pub(crate) in_force: InForce,
}

/// Reads the settings. Returns `None` after it has printed help or the version.
pub(crate) fn parse() -> Result<Option<Parsed>, Failure> {
    pyannote_cli::read_env_file()?;
    let arguments = with_command(env::args_os().collect());
    let mut command = Program::command();
    if wants_help(&arguments) {
        command = Settings::augment_args(command).args_conflicts_with_subcommands(true);
    }
    let of_flags = pyannote_cli::matches(
        command.clone(),
        arguments.clone(),
        &pyannote_cli::flag_or_variable,
    );
    let Some(mut matches) = of_flags? else {
        return Ok(None);
    };
    let mut file = None;
    if let Some(path) = matches.get_one::<PathBuf>("config") {
        let read = File::read(path, &Known::of(&Program::command()))?;
        // The flags and the variables were valid above, so an error now is one of the file.
        let command = read.defaults_of(command.clone());
        let place = |argument: &Arg| read.place(argument);
        let Some(of_all) = pyannote_cli::matches(command, arguments, &place)? else {
            return Ok(None);
        };
        matches = of_all;
        file = Some(read);
    }
    let mut program = Program::from_arg_matches(&matches).map_err(Failure::usage)?;
    if let (Some(file), Some(settings)) = (&file, program.command.settings()) {
        settings.pass_on.endpoints = file.endpoints().clone();
    }
    let in_force = InForce::new(&command, &matches, file.as_ref());
    Ok(Some(Parsed {
        program,
        secrets: Secrets::new(&in_force),
        in_force,
    }))
}

impl Command {
    /// Returns the settings of `serve`, if the command has them.
    fn settings(&mut self) -> Option<&mut Settings> {
        match self {
            Self::Serve(settings) => Some(settings),
            Self::Check(check) => Some(check.settings()),
            _ => None,
        }
    }
}

impl Common {
    /// Returns how the program logs.
    pub(crate) fn log(&self) -> Log {
        Log {
            debug: self.debug,
            format: self.log_format,
            file: self.log_file.clone().map(|path| LogFile {
                path,
                keep: self.log_keep,
            }),
        }
    }
}

/// Inserts `serve` if the arguments begin with a flag, or if there are none. A variable of `serve` is then read only by
/// `serve`, and `serve --port 0` ignores a variable that is invalid.
fn with_command(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).map(|first| first.as_encoded_bytes());
    let is_serve = first.is_none_or(|first| first.starts_with(b"-"));
    if is_serve && !wants_help(&arguments) {
        let end = arguments.len().min(1);
        arguments.insert(end, "serve".into());
    }
    arguments
}

/// Returns whether the arguments begin with a flag that prints help or the version.
fn wants_help(arguments: &[OsString]) -> bool {
    let first = arguments.get(1).and_then(|first| first.to_str());
    matches!(first, Some("-h" | "--help" | "-V" | "--version"))
}

/// Returns the arguments of a command and its subcommands that are settings.
fn arguments(command: &clap::Command) -> impl Iterator<Item = &Arg> {
    let nested = command
        .get_subcommands()
        .flat_map(|sub| sub.get_arguments());
    let all = command.get_arguments().chain(nested);
    all.filter(|argument| argument.get_id().as_str().contains('.'))
}

/// Returns the matches of the innermost command.
fn innermost(mut matches: &ArgMatches) -> &ArgMatches {
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

const AFTER_HELP: &str = "\
A flag overrides its environment variable, which overrides the settings file. The file .env in the current directory can
also set variables. Further variables:
  PYANNOTEAI_WEBHOOK_SECRET  the webhook secret; during a rotation both, as new,old
  PYANNOTEAI_API_KEY         the API key, for --reconcile
  *_FILE                     instead of either: a file that contains the value
  RUST_LOG                   what to log, such as info,tower_pyannote=debug

Examples:
  pyannote-receiver --port 8000 --data-dir /var/lib/pyannote
  pyannote-receiver serve --config /etc/pyannote-receiver.toml
  pyannote-receiver serve --host 0.0.0.0 --database-url postgres://user:password@db/pyannote
  pyannote-receiver serve --role receive --private-listen 127.0.0.1:9000
  pyannote-receiver --archive s3://meetings/events
  pyannote-receiver check --reconcile
  pyannote-receiver inbox list --state dead";
