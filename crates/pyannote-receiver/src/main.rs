//! The program `pyannote-receiver`.

use std::process::ExitCode;

fn main() -> ExitCode {
    pyannote_receiver::main()
}
