//! `pyannote-receiver completions` and `man`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man as Page;
use pyannote_cli::{Failure, print};

use crate::settings::Program;

/// Print the completions of a shell
#[derive(Args)]
#[command(
    after_help = "Example:\n  pyannote-receiver completions bash > /etc/bash_completion.d/pyannote-receiver"
)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

/// Print the manual page, or that of a command
#[derive(Args)]
#[command(
    after_help = "Example:\n  pyannote-receiver man serve > /usr/share/man/man1/pyannote-receiver-serve.1"
)]
pub(crate) struct Man {
    /// A command, such as serve
    command: Option<String>,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Program::command(), NAME, &mut text);
        print(text)
    }
}

impl Man {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        let mut program = Program::command();
        program.build();
        let command = match &self.command {
            None => program,
            Some(name) => {
                let found = program.find_subcommand(name).cloned();
                found.ok_or_else(|| Failure::usage(format!("{name}: no such command")))?
            }
        };
        let mut text = Vec::new();
        let rendered = Page::new(command).render(&mut text);
        rendered.map_err(|error| Failure::run(format!("cannot write the page: {error}")))?;
        print(text)
    }
}

const NAME: &str = "pyannote-receiver";
