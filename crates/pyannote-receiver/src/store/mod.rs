//! Where the archive keeps events.

mod directory;
mod error;
mod probe;
mod remote;

use std::{fmt, sync::Arc};

use object_store::ObjectStore;
use tower_pyannote_archive::{Archive, Metadata};

pub(crate) use self::probe::probe;
pub use self::{directory::open_directory, error::StoreError, remote::open_store};

/// A store for the archive of a [`Server`](crate::Server), and what the store is capable of.
///
/// [`open_store`] opens one by its URL. Any other `object_store` converts to one. It is then taken to have
/// [`PutMode::Create`](object_store::PutMode::Create).
#[derive(Clone)]
pub struct Store {
    objects: Arc<dyn ObjectStore>,
    creates: bool,
    has_attributes: bool,
}

impl Store {
    /// Returns the store itself.
    #[must_use]
    pub fn object_store(&self) -> &Arc<dyn ObjectStore> {
        &self.objects
    }

    /// Returns an archive at the root of the store, which keeps the metadata of deliveries where that costs nothing.
    pub(crate) fn archive(&self) -> Archive {
        let archive = Archive::new(Arc::clone(&self.objects), "");
        let archive = archive.expect("the root of a store is a valid prefix");
        let archive = match self.creates {
            true => archive,
            false => archive.without_conditional_create(),
        };
        match self.has_attributes {
            true => archive.with_metadata(Metadata::Attributes),
            false => archive,
        }
    }
}

impl From<Arc<dyn ObjectStore>> for Store {
    fn from(objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            objects,
            creates: true,
            has_attributes: false,
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Debug of a store may show credentials.
        write!(f, "Store({})", self.objects)
    }
}
