use std::{
    error::Error,
    fs, io,
    path::Path,
    process,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use object_store::{ObjectStore, ObjectStoreExt, local::LocalFileSystem};

/// Opens a directory as a store, and creates it if it does not exist.
///
/// The store flushes each file to the disk. A file is written and deleted as a test.
///
/// # Errors
///
/// Returns an error if the directory cannot be created or written to.
pub async fn open_directory(dir: impl AsRef<Path>) -> io::Result<Arc<dyn ObjectStore>> {
    let dir = dir.as_ref();
    let open = || -> Result<LocalFileSystem, Box<dyn Error>> {
        fs::create_dir_all(dir)?;
        Ok(LocalFileSystem::new_with_prefix(dir)?.with_fsync(true))
    };
    let store = open().map_err(|error| io::Error::other(system_error(&*error)))?;
    probe(&store).await.map_err(io::Error::other)?;
    Ok(Arc::new(store))
}

/// Writes and deletes a file, as a test.
pub(crate) async fn probe(store: &dyn ObjectStore) -> Result<(), String> {
    static COUNT: AtomicU64 = AtomicU64::new(0);

    // Unique, because several servers may share the store.
    let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let location = format!(".health/{process}-{count}").into();
    let stored = async {
        store
            .put(&location, "written by a health check".into())
            .await?;
        store.delete(&location).await
    };
    stored.await.map_err(|error| system_error(&error))
}

/// Returns the operating system's message without the path around it, because a page shows the message to anyone.
fn system_error(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    loop {
        match error.source() {
            _ if error.is::<io::Error>() => return error.to_string(),
            Some(source) => error = source,
            None => return error.to_string(),
        }
    }
}
