//! Where the archive keeps events.

mod directory;
mod error;
mod probe;
mod remote;

use std::{fmt, fs, io, path::Path, sync::Arc};

use object_store::ObjectStore;
use pyannote_cli::Failure;
use reqwest::Url;
use tower_pyannote_archive::{Archive, Metadata};

use self::directory::try_directory;
pub(crate) use self::{directory::existing, probe::probe};
pub use self::{directory::open_directory, error::StoreError, remote::open_store};
use crate::{
    error::in_full,
    settings::{ArchiveMetadata, Database},
};

/// Opens the store of the settings. `is_shared` says whether other inboxes may write to a remote store.
pub(crate) async fn open(settings: &Database, is_shared: bool) -> Result<Store, Failure> {
    let store = open_at(settings, is_shared).await?;
    Ok(match settings.archive_metadata {
        ArchiveMetadata::Attributes => store,
        ArchiveMetadata::Sidecar => {
            store.with_archive(|archive| archive.with_metadata(Metadata::Sidecar))
        }
        ArchiveMetadata::None => {
            store.with_archive(|archive| archive.with_metadata(Metadata::None))
        }
    })
}

async fn open_at(settings: &Database, is_shared: bool) -> Result<Store, Failure> {
    let directory = &settings.data_dir;
    let Some(url) = &settings.archive else {
        let opened = open_directory(directory).await;
        let opened = opened.map_err(|error| cannot_store(directory, &error))?;
        return Ok(opened.with_archive(Archive::behind_inbox));
    };
    // The inbox may be in the directory.
    fs::create_dir_all(directory)
        .map_err(|error| Failure::run(format!("--data-dir {}: {error}", directory.display())))?;
    let opened = open_store(url).await;
    let store = opened.map_err(|error| cannot_open(&error))?;
    Ok(match is_shared {
        true => store,
        false => store.with_archive(Archive::behind_inbox),
    })
}

/// Tries the store of the settings, and leaves nothing behind. Returns the result as a sentence.
pub(crate) async fn check(settings: &Database) -> Result<String, Failure> {
    let directory = &settings.data_dir;
    let of_directory = try_directory(directory).await;
    let found = of_directory.map_err(|error| cannot_store(directory, &error))?;
    let Some(url) = &settings.archive else {
        return Ok(found);
    };
    let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "file");
    let found = match parsed.and_then(|url| url.to_file_path().ok()) {
        Some(directory) => try_directory(&directory)
            .await
            .map_err(StoreError::Directory),
        None => {
            let opened = open_store(url).await;
            opened.map(|_| format!("an object was written to {url} and deleted"))
        }
    };
    found.map_err(|error| cannot_open(&error))
}

fn cannot_store(directory: &Path, error: &io::Error) -> Failure {
    let directory = directory.display();
    Failure::run(format!(
        "--data-dir {directory}: cannot store there: {error}"
    ))
}

fn cannot_open(error: &StoreError) -> Failure {
    let error = in_full(error);
    Failure::run(format!("--archive (or WEBHOOK_SERVER_ARCHIVE): {error}"))
}

/// A store for the archive of a [`Server`](crate::Server), and the archive's settings.
///
/// [`open_directory`] and [`open_store`] open one. Any other `object_store` converts to one. It needs
/// [`PutMode::Create`](object_store::PutMode::Create).
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    archive: Archive,
}

impl Store {
    /// Returns the store itself.
    #[must_use]
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Changes the settings of the handler `archive`.
    ///
    /// Default: the root of the store, with a claim per event, so that receivers with inboxes of their own may share the
    /// store. A remote store keeps the metadata of each delivery as attributes of its object.
    ///
    /// Use [`Archive::behind_inbox`] if no other inbox writes to the store: it halves the flushes of the disk.
    ///
    /// # Example: one inbox, one directory
    ///
    /// ```no_run
    /// use pyannote_receiver::{Server, open_directory};
    /// use tower_pyannote::SecretSet;
    /// use tower_pyannote_archive::Metadata;
    /// use tower_pyannote_inbox::Inbox;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    /// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
    /// let store = open_directory("data")
    ///     .await?
    ///     .with_archive(|archive| archive.behind_inbox().with_metadata(Metadata::Sidecar));
    /// let server = Server::new(secrets, inbox, store);
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_archive(mut self, change: impl FnOnce(Archive) -> Archive) -> Self {
        self.archive = change(self.archive);
        self
    }

    pub(crate) fn archive(&self) -> Archive {
        self.archive.clone()
    }
}

impl From<Arc<dyn ObjectStore>> for Store {
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        let archive = Archive::new(Arc::clone(&objects), "");
        let archive = archive.expect("the root of a store is a valid prefix");
        Self { objects, archive }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Debug of a store may show credentials.
        write!(f, "Store({})", self.objects)
    }
}
