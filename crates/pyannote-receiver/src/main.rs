//! The program `pyannote-receiver`.

use std::process::ExitCode;

use pyannote_receiver::Server;

fn main() -> ExitCode {
    Server::main(Ok)
}
