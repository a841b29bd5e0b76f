//! `pyannote-receiver completions` and `man`.

use std::path::PathBuf;

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

/// Print the manual page of the program or of a command, or write all pages to a directory
#[derive(Args)]
#[command(
    after_help = "Examples:\n  pyannote-receiver man inbox list | man -l -\n  pyannote-receiver man --directory /usr/share/man/man1"
)]
pub(crate) struct Man {
    /// A command, such as serve or inbox list
    command: Vec<String>,

    /// Write the pages of all commands to this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    directory: Option<PathBuf>,
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
        if let Some(directory) = &self.directory {
            let written = clap_mangen::generate_to(Program::command(), directory);
            return written.map_err(|error| {
                let directory = directory.display();
                Failure::usage(format!(
                    "--directory {directory}: cannot be written: {error}"
                ))
            });
        }
        let mut program = Program::command();
        program.build();
        let mut command = &program;
        for name in &self.command {
            let found = command.find_subcommand(name);
            command = found.ok_or_else(|| Failure::usage(format!("{name}: no such command")))?;
        }
        let mut text = Vec::new();
        let rendered = Page::new(command.clone()).render(&mut text);
        rendered.map_err(|error| Failure::run(format!("cannot write the page: {error}")))?;
        print(text)
    }
}

const NAME: &str = "pyannote-receiver";
