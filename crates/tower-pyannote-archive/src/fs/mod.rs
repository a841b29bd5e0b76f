#[cfg_attr(not(target_os = "linux"), path = "ungrouped.rs")]
mod creates;
#[cfg(target_os = "linux")]
mod group;
#[cfg(target_os = "linux")]
mod pace;

use std::{fmt, ops::Range};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
    local::LocalFileSystem, path::Path,
};

use self::creates::Creates;

/// A [`LocalFileSystem`] with fsync that creates files in groups. Files that arrive together share flushes of the disk.
///
/// A create is a put with [`PutMode::Create`]. [`Archive`](crate::Archive) writes each event with it. While the store writes a
/// group, further creates wait and then form the next group. A create that arrives alone does not wait for others. All other
/// operations are those of `LocalFileSystem` with fsync.
///
/// 1. **Whole or not at all.** The content of a file is durable before the file gets its name, so neither a kill nor a loss of
///    power leaves an incomplete file under its name. On a file system without a journal, a loss of power may still damage
///    files, because it may damage the file system's own structures.
/// 2. **Durable on success.** The name of a file is durable before the create succeeds.
/// 3. **Each create has its own result.** A create that fails, because the file exists or the disk is full, does not fail the
///    others. If a shared flush fails, all creates of the group fail, and can be retried.
/// 4. **Bounded memory.** At most 256 MiB of content are in the queue. Further creates wait for room. A group has at most 64 files,
///    and takes no further file after 16 MiB.
///
/// The result of a create has no entity tag.
///
/// # Shared flushes
///
/// One `syncfs` flushes the content of a group, and one flush of the directory its names. `syncfs` also flushes the writes of
/// other programs to the same file system. Therefore:
///
/// - A file that arrives alone gets its own flush.
/// - If a group takes longer than its files would take one by one, `LocalFileSystem` creates the next files, for ten times the
///   duration of the group. `LocalFileSystem` also creates the first files that arrive together, so that the store can measure
///   how long they take.
///
/// Groups need ext4, XFS, Btrfs or tmpfs, and Linux 5.8 or later, because earlier versions do not report all errors of `syncfs`.
/// Elsewhere `LocalFileSystem` creates each file.
///
/// # Example: events on disk
///
/// ```
/// use std::sync::Arc;
///
/// use tower_pyannote_archive::{Archive, GroupedFileSystem};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = GroupedFileSystem::new(dir.path())?;
/// let archive = Archive::new(Arc::new(store), "events")?;
/// # drop(archive);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GroupedFileSystem {
    files: LocalFileSystem,
    creates: Creates,
}

impl GroupedFileSystem {
    /// Opens a directory as a store.
    ///
    /// # Errors
    ///
    /// Returns an error if the directory does not exist.
    pub fn new(directory: impl AsRef<std::path::Path>) -> Result<Self> {
        Ok(Self {
            files: LocalFileSystem::new_with_prefix(directory)?.with_fsync(true),
            creates: Creates::default(),
        })
    }
}

impl fmt::Display for GroupedFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GroupedFileSystem({})", self.files)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for GroupedFileSystem {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if options.mode == PutMode::Create && options.attributes.is_empty() {
            let path = self.files.path_to_filesystem(location)?;
            if let Some(created) = self.creates.create(&path, &payload).await {
                return created;
            }
            let create = self.files.put_opts(location, payload, options);
            return self.creates.alone(create).await;
        }
        self.files.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.files.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.files.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.files.rename_opts(from, to, options).await
    }
}
