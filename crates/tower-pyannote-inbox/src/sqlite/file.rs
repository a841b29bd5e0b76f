use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};

use crate::{InboxError, InboxErrorKind};

/// The files that SQLite has open.
///
/// SQLite does not notice that a file was removed, replaced or truncated. It goes on to commit into what is gone when the
/// process ends, so such a commit must not be acknowledged.
///
/// Only SQLite may open these files: to close another descriptor of one drops the locks that SQLite holds on it.
#[derive(Debug)]
pub(super) struct OpenFile {
    path: PathBuf,
    identity: Identity,
    pub(super) wal: Arc<Wal>,
    /// The file's length when it was last checked.
    length: AtomicU64,
}

/// The `-wal` file that the connection which writes has open.
#[derive(Debug)]
pub(super) struct Wal {
    /// Of the database's file.
    path: PathBuf,
    /// Which file it is, and its length when it was last checked.
    last: Mutex<Option<(Identity, u64)>>,
}

/// What is wrong with the files.
#[derive(Debug)]
pub(super) enum Damage {
    /// The `-wal` file is gone. SQLite can still copy what it holds into the database's file.
    WalRemoved,
    /// The `-wal` file became shorter. That is no damage if another process emptied it by a checkpoint.
    WalShortened,
    /// A commit would be lost.
    Other(InboxError),
}

impl OpenFile {
    /// Notes how the files are, right after SQLite has opened them.
    pub(super) fn of(wal: Arc<Wal>) -> io::Result<Self> {
        let metadata = fs::metadata(&wal.path)?;
        Ok(Self {
            path: wal.path.clone(),
            identity: identity(&metadata),
            wal,
            length: AtomicU64::new(metadata.len()),
        })
    }

    /// Checks that both paths still lead to the open files, and that neither was truncated.
    ///
    /// The caller holds the connection that writes, so that this process is in no checkpoint.
    pub(super) async fn check(&self) -> Result<(), Damage> {
        let metadata = fs::metadata(&self.path).map_err(Damage::of)?;
        if identity(&metadata) != self.identity {
            return Err(Damage::of(
                "the database's file was replaced by another: restart to use that one",
            ));
        }
        self.wal.check()?;
        // A checkpoint after a prune shortens the file, too, but leaves it whole.
        if metadata.len() < self.length.load(Ordering::Relaxed) {
            self.is_whole(metadata.len()).await?;
        }
        self.length.store(metadata.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Checks that a file of this length has all the pages that its own header counts.
    async fn is_whole(&self, length: u64) -> Result<(), Damage> {
        let counted = async {
            // Without the -wal file, which may count more.
            let options = SqliteConnectOptions::new().filename(&self.path);
            let mut file = options.read_only(true).immutable(true).connect().await?;
            let row = sqlx::query(
                "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
            );
            let counted: i64 = row.fetch_one(&mut file).await?.try_get(0)?;
            file.close().await?;
            Ok::<_, sqlx::Error>(counted)
        };
        match counted.await.map(u64::try_from) {
            Ok(Ok(counted)) if (1..=length).contains(&counted) => Ok(()),
            Ok(_) => Err(Damage::of(
                "the database's file was truncated: stop, and restore it from a backup",
            )),
            Err(error) => Err(Damage::of(error)),
        }
    }
}

impl Wal {
    pub(super) fn beside(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            last: Mutex::new(None),
        }
    }

    /// Notes which file SQLite has opened with a new connection. SQLite removes the file with the last connection.
    pub(super) fn is_opened(&self) {
        let found = self.found().ok();
        *self.last() = found;
    }

    fn check(&self) -> Result<(), Damage> {
        let found = match self.found() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Damage::WalRemoved);
            }
            Err(error) => return Err(Damage::of(error)),
        };
        let mut last = self.last();
        match *last {
            Some((identity, length)) if identity == found.0 => {
                if found.1 < length {
                    return Err(Damage::WalShortened);
                }
                *last = Some(found);
                Ok(())
            }
            _ => Err(Damage::of(
                "the database's -wal file was replaced by another: restart to use that one",
            )),
        }
    }

    fn found(&self) -> io::Result<(Identity, u64)> {
        // SQLite puts it beside the file that a link leads to.
        let mut path = fs::canonicalize(&self.path)?.into_os_string();
        path.push("-wal");
        let metadata = fs::metadata(path)?;
        Ok((identity(&metadata), metadata.len()))
    }

    fn last(&self) -> MutexGuard<'_, Option<(Identity, u64)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Damage {
    fn of(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(InboxError::because(InboxErrorKind::Store, why))
    }
}

#[cfg(unix)]
type Identity = (u64, u64);

#[cfg(unix)]
fn identity(metadata: &Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt;

    (metadata.dev(), metadata.ino())
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
type Identity = ();

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Identity {}
