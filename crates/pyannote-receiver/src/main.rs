//! The program `pyannote-receiver`.

mod allocator;

use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::limit();
    pyannote_receiver::main()
}
