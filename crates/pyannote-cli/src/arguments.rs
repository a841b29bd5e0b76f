use std::{
    io::{self, Write},
    path::Path,
};

use clap::{
    Command, Parser,
    error::{ContextKind, ContextValue},
};

use crate::failure::Failure;

/// Reads the settings of a program: from the command line first, then from the environment, then from `.env` in the current
/// directory.
///
/// Returns `None` after it has printed what `--help` or `--version` asked for. Call it before any other thread runs, because
/// it copies `.env` into the environment.
///
/// # Errors
///
/// Returns a usage failure if `.env` or an argument is invalid. The message names the environment variable that may have
/// set the argument.
pub fn parse<P: Parser>() -> Result<Option<P>, Failure> {
    read_env_file()?;
    match P::try_parse() {
        Ok(settings) => Ok(Some(settings)),
        Err(error) if error.use_stderr() => Err(one_line(&error, &P::command())),
        Err(help) => {
            let _ = write!(io::stdout(), "{help}");
            Ok(None)
        }
    }
}

fn read_env_file() -> Result<(), Failure> {
    match dotenvy::from_path(Path::new(".env")) {
        Err(dotenvy::Error::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::usage(format!(".env: cannot be read: {error}")))
        }
        // The error's own text repeats the line, which may contain a secret.
        Err(dotenvy::Error::LineParse(..)) => Err(Failure::usage(
            ".env: a line is not NAME=value; a value with blanks or `#` needs quotes",
        )),
        _ => Ok(()),
    }
}

fn one_line(error: &clap::Error, command: &Command) -> Failure {
    let message = error.to_string();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    // The other paragraphs are tips and the usage.
    let message = message.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    let message = lines.join(" ");
    let variable = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => variable(argument, command),
        _ => None,
    };
    match variable {
        Some(variable) => Failure::usage(format!("{message} (the flag, or {variable})")),
        None => Failure::usage(message),
    }
}

/// Returns the environment variable of `--flag <VALUE>`.
fn variable(argument: &str, command: &Command) -> Option<String> {
    let flag = argument.strip_prefix("--")?.split(' ').next()?;
    let of_subcommands = command.get_subcommands().flat_map(Command::get_arguments);
    let argument = command
        .get_arguments()
        .chain(of_subcommands)
        .find(|argument| argument.get_long() == Some(flag))?;
    Some(argument.get_env()?.to_string_lossy().into_owned())
}
