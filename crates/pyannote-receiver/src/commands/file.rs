use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use pyannote_cli::Failure;

/// Reads a file of at most 129 MiB, just above the body limit of the server.
pub(crate) fn read(argument: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(MAX_LENGTH).read_to_end(&mut bytes))
        .and_then(|_| match u64::try_from(bytes.len()) {
            Ok(..MAX_LENGTH) => Ok(()),
            _ => Err(io::ErrorKind::FileTooLarge.into()),
        });
    let path = path.display();
    read.map_err(|error| Failure::usage(format!("{argument} {path}: cannot be read: {error}")))?;
    Ok(bytes)
}

const MAX_LENGTH: u64 = 129 << 20;
