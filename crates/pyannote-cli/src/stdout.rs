use std::io::{self, Write};

use crate::failure::Failure;

/// Writes to stdout. A reader that closed the pipe is not an error.
///
/// # Errors
///
/// Returns a failure if the bytes cannot be written for another reason.
pub fn print(bytes: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    let written = stdout.write_all(bytes.as_ref());
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::run(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}
