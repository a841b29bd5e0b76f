use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{InboxError, InboxErrorKind};

/// A file that SQLite has open.
///
/// SQLite does not see that its file was removed or replaced, and goes on to commit into what will be gone with the
/// process: no such commit may be acknowledged.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    identity: Identity,
}

impl OpenFile {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    /// Makes sure that the path still leads to the file.
    pub(super) fn is_in_place(&self) -> Result<(), InboxError> {
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            Ok(_) => Err(InboxError::because(
                InboxErrorKind::Store,
                "another file is in the place of the database: start anew",
            )),
            Err(error) => Err(InboxError::because(InboxErrorKind::Store, error)),
        }
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(path: &Path) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;

    let file = fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(path: &Path) -> io::Result<Identity> {
    fs::metadata(path).map(|_| ())
}
