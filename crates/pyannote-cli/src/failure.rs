use std::{
    fmt,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{
    Command,
    error::{ContextKind, ContextValue},
};

/// Why a program does not run, in one line, and the code to exit with.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// Something that was set cannot be used.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: 2,
        }
    }

    /// Something that is needed is not to be had.
    pub fn run(message: impl fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            code: 1,
        }
    }

    /// Prints it, and gives the code to exit with.
    pub fn report(&self) -> ExitCode {
        // Nobody may be left to read it.
        let _ = writeln!(io::stderr(), "error: {self}");
        ExitCode::from(self.code)
    }

    /// Clap's message in one line, with the variable that may have set the value.
    pub fn of_clap(error: &clap::Error, command: &Command) -> Self {
        let message = error.to_string();
        let message = message.strip_prefix("error: ").unwrap_or(&message);
        let message = message.split("\n\n").next().unwrap_or_default();
        let lines: Vec<&str> = message.lines().map(str::trim).collect();
        let message = lines.join(" ");
        let variable = match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::String(argument)) => variable_of(argument, command),
            _ => None,
        };
        match variable {
            Some(variable) => Self::usage(format!("{message} (the flag, or {variable})")),
            None => Self::usage(message),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name or value may hold a line break.
        f.write_str(&plain(&self.message))
    }
}

/// Escapes what would change how a terminal shows the text around it, as a sender may have written that.
pub fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if c.is_control() || is_unseen(c) => plain.extend(c.escape_unicode()),
            c => plain.push(c),
        }
    }
    plain
}

/// Whether a character has no look of its own: it turns the direction of text, breaks a line, or is of no width.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Puts `.env` of this directory into the environment, where that has not set a name. No other thread may run yet.
pub fn read_env_file() -> Result<(), Failure> {
    match dotenvy::from_path(Path::new(".env")) {
        Err(dotenvy::Error::Io(error)) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::usage(format!(".env: cannot be read: {error}")))
        }
        // Its own words would repeat the line, and that may hold the secret.
        Err(dotenvy::Error::LineParse(..)) => Err(Failure::usage(
            ".env: a line is not NAME=value; a value with blanks or `#` needs quotes",
        )),
        _ => Ok(()),
    }
}

fn variable_of(argument: &str, command: &Command) -> Option<String> {
    let flag = argument.strip_prefix("--")?.split(' ').next()?;
    let of_subcommands = command.get_subcommands().flat_map(Command::get_arguments);
    let argument = command
        .get_arguments()
        .chain(of_subcommands)
        .find(|known| known.get_long() == Some(flag))?;
    Some(argument.get_env()?.to_string_lossy().into_owned())
}
