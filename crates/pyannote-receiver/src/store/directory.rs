use std::{error::Error, fs, io, path::Path, sync::Arc};

use object_store::{ObjectStore, local::LocalFileSystem};

use super::{
    Store,
    probe::{probe, public_error},
};

/// Opens a directory as a store, and creates it if it does not exist.
///
/// The store flushes each file to the disk. A file is written and deleted as a test.
///
/// # Errors
///
/// Returns an error if the directory cannot be created or written to.
pub async fn open_directory(dir: impl AsRef<Path>) -> io::Result<Store> {
    let dir = dir.as_ref();
    let open = || -> Result<LocalFileSystem, Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        Ok(LocalFileSystem::new_with_prefix(dir)?.with_fsync(true))
    };
    let store = open().map_err(|error| io::Error::other(public_error(&*error)))?;
    probe(&store).await.map_err(io::Error::other)?;
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    Ok(store.into())
}
