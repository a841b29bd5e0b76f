use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
};

use clap::{
    Arg, ArgMatches, Command, Parser,
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
    let arguments = std::env::args_os().collect();
    let Some(matches) = matches(P::command(), arguments, &flag_or_variable)? else {
        return Ok(None);
    };
    P::from_arg_matches(&matches)
        .map(Some)
        .map_err(|error| one_line(&error, &P::command(), &flag_or_variable))
}

/// Copies `.env` in the current directory into the environment. A variable that is set stays. Call it before any other
/// thread runs.
///
/// # Errors
///
/// Returns a usage failure if the file cannot be read or is invalid.
pub fn read_env_file() -> Result<(), Failure> {
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

/// Parses arguments, the first of which is the program's name. Returns `None` after it has printed help or the version.
///
/// `place` returns where the value of an argument may have come from, for the message of an invalid value.
///
/// # Errors
///
/// Returns a usage failure of one line if an argument is invalid.
pub fn matches(
    mut command: Command,
    arguments: Vec<OsString>,
    place: &dyn Fn(&Arg) -> Option<String>,
) -> Result<Option<ArgMatches>, Failure> {
    match command.try_get_matches_from_mut(arguments) {
        Ok(matches) => Ok(Some(matches)),
        Err(error) if error.use_stderr() => Err(one_line(&error, &command, place)),
        Err(help) => {
            let _ = write!(io::stdout(), "{help}");
            Ok(None)
        }
    }
}

/// Returns the places that can set an argument besides a settings file: the flag, or its environment variable.
#[must_use]
pub fn flag_or_variable(argument: &Arg) -> Option<String> {
    let variable = argument.get_env()?.to_string_lossy();
    Some(format!("the flag, or {variable}"))
}

fn one_line(
    error: &clap::Error,
    command: &Command,
    place: &dyn Fn(&Arg) -> Option<String>,
) -> Failure {
    let message = error.to_string();
    let message = message.strip_prefix("error: ").unwrap_or(&message);
    // The other paragraphs are tips and the usage.
    let message = message.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    let message = lines.join(" ");
    let place = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => find(argument, command).and_then(place),
        _ => None,
    };
    match place {
        Some(place) => Failure::usage(format!("{message} ({place})")),
        None => Failure::usage(message),
    }
}

/// Returns the argument that an error calls `--flag <VALUE>`.
fn find<'a>(argument: &str, command: &'a Command) -> Option<&'a Arg> {
    let flag = argument.strip_prefix("--")?.split([' ', '[', '=']).next()?;
    let mut own = command.get_arguments();
    own.find(|argument| argument.get_long() == Some(flag))
        .or_else(|| {
            let mut commands = command.get_subcommands();
            commands.find_map(|command| find(argument, command))
        })
}
