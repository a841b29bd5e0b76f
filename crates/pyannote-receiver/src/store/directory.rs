use std::{error::Error, fs, io, path::Path, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem};
use tower_pyannote_archive::GroupedFileSystem;

use super::{
    Store,
    probe::{probe, public_error},
};

/// Opens a directory as a store, and creates it if it does not exist.
///
/// The store is a [`GroupedFileSystem`], which flushes each file to the disk. Writes and deletes a file as a test.
///
/// # Errors
///
/// Returns an error if the directory cannot be created or written to.
pub async fn open_directory(dir: impl AsRef<Path>) -> io::Result<Store> {
    let dir = dir.as_ref();
    fs::create_dir_all(dir).map_err(|error| unusable(&error))?;
    probed(dir, false).await?;
    let store = GroupedFileSystem::new(dir).map_err(|error| unusable(&error))?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Ok(store.into())
}

/// Tries a directory as a store, and leaves nothing behind. Returns the result as a sentence.
pub(super) async fn try_directory(dir: &Path) -> io::Result<String> {
    let existing = existing(dir);
    probed(existing, true).await?;
    let shown = dir.display();
    Ok(match existing == dir {
        true => format!("an object was written to {shown} and deleted"),
        false => format!("{shown} does not exist yet; `serve` creates it"),
    })
}

/// Returns a directory, or the nearest existing directory above it.
pub(crate) fn existing(dir: &Path) -> &Path {
    let existing = dir.ancestors().find(|ancestor| ancestor.exists());
    // A relative path is in the current directory.
    existing.unwrap_or(Path::new("."))
}

/// Writes and deletes a file in an existing directory. `cleanup` also removes the directory of that file.
async fn probed(dir: &Path, cleanup: bool) -> io::Result<()> {
    let store = LocalFileSystem::new_with_prefix(dir).map_err(|error| unusable(&error))?;
    let store = store.with_fsync(true).with_automatic_cleanup(cleanup);
    probe(&store).await.map_err(io::Error::other)
}

fn unusable(error: &(dyn Error + 'static)) -> io::Error {
    io::Error::other(public_error(error))
}
