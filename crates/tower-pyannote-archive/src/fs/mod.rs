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

/// A [`LocalFileSystem`] with fsync that creates files in groups, so that files which arrive together share flushes of the disk.
///
/// A create is a put with [`PutMode::Create`], as [`Archive`](crate::Archive) writes each event. While one group is written, the
/// next creates wait, and then form the next group. A create that comes alone does not wait for others. All other operations are
/// those of `LocalFileSystem` with fsync.
///
/// 1. **Whole or not at all.** The content of a file is durable before the file gets its name, so neither a kill nor a loss of
///    power leaves an incomplete file under its name. A file system without a journal may damage files at a loss of power,
///    because its own structures are incomplete then.
/// 2. **Durable on success.** The name of a file is durable before the create succeeds.
/// 3. **Each create has its own result.** A create that fails, because the file exists or the disk is full, does not fail the
///    others. If a shared flush fails, all creates of the group fail, and can be retried.
/// 4. **Bounded memory.** At most 256 MiB of content wait; further creates wait before they join. A group has at most 64 files,
///    and takes no further file after 16 MiB.
///
/// The result of a create has no entity tag.
///
/// # Shared flushes
///
/// The content of a group is flushed by one `syncfs`, and the names by one flush of the directory. `syncfs` also flushes what
/// other programs wrote to the same file system. Therefore:
///
/// - A file that comes alone is flushed alone.
/// - If a group takes longer than its files would take alone, `LocalFileSystem` creates the next files, for ten times as long as
///   the group took. `LocalFileSystem` also creates the first files that come together, so that the store knows their time.
///
/// This needs Linux 5.8 or later, because earlier versions do not report all errors of `syncfs`, and ext4, XFS, Btrfs or tmpfs.
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
