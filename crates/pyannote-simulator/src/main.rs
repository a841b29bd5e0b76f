//! The program `pyannote-simulator`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pyannote_simulator::cli::run()
}
