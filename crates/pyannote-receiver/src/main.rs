//! The program `pyannote-receiver`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// glibc keeps much of the memory that a flood of large bodies used.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    pyannote_receiver::main()
}
