use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::{
    Attributes, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    path::Path,
};

use crate::error::ArchiveError;

/// The objects of a store. Errors say which object they are about.
#[derive(Clone)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Whether the store decides which of several writers creates an object.
    pub(crate) conditional: bool,
}

impl Objects {
    /// Creates an object; returns `false` if there is one already.
    pub(crate) async fn create(
        &self,
        location: &Path,
        bytes: &Bytes,
        attributes: Attributes,
    ) -> Result<bool, ArchiveError> {
        if !self.conditional {
            let absent = !self.exists(location).await?;
            if absent {
                self.overwrite(location, bytes, attributes).await?;
            }
            return Ok(absent);
        }
        match self.put(location, bytes, PutMode::Create, attributes).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn overwrite(
        &self,
        location: &Path,
        bytes: &Bytes,
        attributes: Attributes,
    ) -> Result<(), ArchiveError> {
        self.put(location, bytes, PutMode::Overwrite, attributes)
            .await
    }

    /// Returns the content of an object, or `None` if there is none.
    pub(crate) async fn find(&self, location: &Path) -> Result<Option<Bytes>, ArchiveError> {
        match self.read(location).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn read(&self, location: &Path) -> Result<Bytes, ArchiveError> {
        let read = async { self.store.get(location).await?.bytes().await };
        read.await
            .map_err(|error| ArchiveError::read(location.clone(), error))
    }

    /// Returns whether an object's path begins with `prefix`.
    pub(crate) async fn any_under(&self, prefix: &Path) -> Result<bool, ArchiveError> {
        let first = self.store.list(Some(prefix)).try_next().await;
        first
            .map(|first| first.is_some())
            .map_err(|error| ArchiveError::read(prefix.clone(), error))
    }

    async fn exists(&self, location: &Path) -> Result<bool, ArchiveError> {
        let options = GetOptions::new().with_head(true);
        match self.store.get_opts(location, options).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(ArchiveError::read(location.clone(), error)),
        }
    }

    async fn put(
        &self,
        location: &Path,
        bytes: &Bytes,
        mode: PutMode,
        attributes: Attributes,
    ) -> Result<(), ArchiveError> {
        let payload = PutPayload::from_bytes(bytes.clone());
        let options = PutOptions {
            mode,
            attributes,
            ..PutOptions::default()
        };
        match self.store.put_opts(location, payload, options).await {
            Ok(_) => Ok(()),
            Err(error) => Err(ArchiveError::write(location.clone(), error)),
        }
    }
}
