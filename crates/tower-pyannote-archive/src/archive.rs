use std::{fmt, sync::Arc};

use bytes::Bytes;
use object_store::{Attributes, ObjectStore, path::Path};
use serde::de::IgnoredAny;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};

use crate::{
    config_error::{self, ConfigError},
    error::ArchiveError,
    metadata::{self, Metadata},
    name::{self, EventName},
    names::Names,
    objects::Objects,
    telemetry,
};

/// A handler that stores each event in an object store, byte for byte as received.
///
/// An event is stored at `{prefix}/{received}_{kind}_{job id}_{status}.json`:
///
/// - `received` is the UTC time at which the event was first received, such as `20261124T034000.123456789Z`, so that names sort
///   by time.
/// - `kind` is the kind of the output, `unknown`, or `none` without output.
/// - `job id` and `status` are unchanged if they consist of 1 to 64 of `a`-`z`, `0`-`9` and `-`. Any other is written as up to 40
///   such characters, a dot, and 32 hex digits of its SHA-256. So no job id can leave the prefix, make a name too long for a file
///   system, or share the name of another job, even if the file system ignores case.
///
/// 1. **One object per event.** Repeated deliveries of a job id and status keep the first object, also if they arrive at once or
///    at several servers that share the store. The first to create `{prefix}/.claims/{SHA-256 of job id and status}` decides the
///    name. If a repeated body differs, the archive keeps the first, and logs and counts a conflict.
/// 2. **Whole or not at all.** Objects are created with [`PutMode::Create`](object_store::PutMode::Create), which stores make
///    atomic. A store without it is refused with an error at the first event, unless
///    [`without_conditional_create`](Self::without_conditional_create) says that the archive may do without.
/// 3. **Every error can be retried.** Until the event is stored, the handler fails. A repeat writes the object again, because
///    the first writer may have been killed before the object was durable. With [`Metadata::Attributes`] it does not, because
///    such stores show only durable objects.
///
/// A claim is one small object per event. Keep it for as long as the event may be repeated: without its claim, a repeated event
/// is stored a second time. [`behind_inbox`](Self::behind_inbox) writes no claims.
///
/// # On a local file system
///
/// `GroupedFileSystem` (feature `fs`) lets files that arrive together share flushes of the disk. `LocalFileSystem` flushes each
/// file alone, and needs a file system with hard links.
///
/// Both stores write a file under its name followed by `#` and a number, and rename the file at the end. A process that is killed
/// in between leaves the file with `#` behind. The archive ignores such a file, and the next delivery of the event writes
/// another one. Delete files with `#` while no process writes to the directory.
///
/// To survive a loss of power, `LocalFileSystem` needs `with_fsync(true)`, which is off by default. Without it, an object or a
/// claim may be incomplete. The archive writes it again when the event is delivered again. A claim that names no file of its
/// event is never followed, but replaced.
///
/// # Example: events on disk
///
/// ```
/// use std::sync::Arc;
///
/// use object_store::local::LocalFileSystem;
/// use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
/// use tower_pyannote_archive::Archive;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let store = Arc::new(LocalFileSystem::new_with_prefix(dir.path())?.with_fsync(true));
/// let registry = HandlerRegistry::new().register("archive", Archive::new(store, "events")?)?;
///
/// let body = r#"{"jobId":"3c8a89a5","status":"canceled"}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(std::time::UNIX_EPOCH))?;
/// assert!(registry.handle(event).await.is_success());
///
/// let kept = dir.path().join("events/19700101T000000.000000000Z_none_3c8a89a5_canceled.json");
/// assert_eq!(std::fs::read_to_string(kept)?, body);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Archive {
    objects: Objects,
    prefix: Path,
    names: Names,
    metadata: Metadata,
}

impl Archive {
    /// Creates an archive that stores events in `store` under `prefix`; an empty prefix is the root of the store.
    ///
    /// The timeout of a handler is 8 s by default. A remote store may need
    /// [more](tower_pyannote::HandlerRegistry::with_timeout_for) for the largest bodies.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::InvalidPrefix`] if the prefix has an empty segment, a segment `.` or `..`, or a control character.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl AsRef<str>) -> Result<Self, ConfigError> {
        Ok(Self {
            objects: Objects {
                store,
                conditional: true,
            },
            prefix: config_error::parse_prefix(prefix.as_ref())?,
            names: Names::Claimed,
            metadata: Metadata::default(),
        })
    }

    /// Writes no claims, because all events come from one inbox. Default: a claim per event.
    ///
    /// An inbox stores an event once, with the time at which it first arrived. Each attempt to handle the event therefore
    /// computes the same name, and needs no claim. This saves half of the writes, and on a local file system half of the flushes
    /// of the disk.
    ///
    /// The inbox may serve several workers and servers, but all programs that write to this prefix must share the inbox: two
    /// inboxes that both receive an event store it under two names. An event that is repeated after the inbox pruned it is also
    /// stored again.
    ///
    /// The archive still follows claims that it finds, so that it can take over a prefix from an archive with claims.
    ///
    /// # Example: an archive behind an inbox
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use object_store::memory::InMemory;
    /// use tower_pyannote::HandlerRegistry;
    /// use tower_pyannote_archive::Archive;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let archive = Archive::new(Arc::new(InMemory::new()), "events")?.behind_inbox();
    /// // `Inbox::worker` takes this registry.
    /// let handlers = HandlerRegistry::new().register("archive", archive)?;
    /// # drop(handlers);
    /// # Ok(())
    /// # }
    /// ```
    pub fn behind_inbox(mut self) -> Self {
        self.names = Names::received();
        self
    }

    /// Writes to a store that has no [`PutMode::Create`](object_store::PutMode::Create). Default: such a store is an error.
    ///
    /// The archive then asks whether an object exists, and writes it if not. It promises less:
    ///
    /// - Objects are still whole, and an event that is repeated after it was stored is still not stored again.
    /// - If an event arrives twice **at once**, both deliveries may be written. [Behind an inbox](Self::behind_inbox) they have
    ///   the same name, so the last writer wins, and a conflict may not be noticed. Without an inbox, the event may be stored
    ///   twice, under two times.
    pub fn without_conditional_create(mut self) -> Self {
        self.objects.conditional = false;
        self
    }

    /// Sets where the time of receipt, the source and the retry of a delivery are kept. Default: [`Metadata::None`].
    ///
    /// All values are of the same delivery: the first one, unless several arrive at once.
    ///
    /// # Example: metadata of a delivery in a file beside the event
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use object_store::local::LocalFileSystem;
    /// use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
    /// use tower_pyannote_archive::{Archive, Metadata};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let store = Arc::new(LocalFileSystem::new_with_prefix(dir.path())?.with_fsync(true));
    /// let archive = Archive::new(store, "")?.with_metadata(Metadata::Sidecar);
    /// let registry = HandlerRegistry::new().register("archive", archive)?;
    ///
    /// let body = r#"{"jobId":"3c8a89a5","status":"canceled"}"#;
    /// let event = WebhookEvent::new(body.into(), Delivery::at(std::time::UNIX_EPOCH))?;
    /// assert!(registry.handle(event).await.is_success());
    ///
    /// let path = dir.path().join(".meta/19700101T000000.000000000Z_none_3c8a89a5_canceled.meta.json");
    /// let metadata = std::fs::read_to_string(path)?;
    /// assert_eq!(metadata, r#"{"received_at":"1970-01-01T00:00:00Z","source":"webhook"}"#);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }

    /// Returns the name under which `event` is stored if it is the first of its job id and status.
    #[must_use]
    pub fn name_of(event: &WebhookEvent) -> String {
        EventName::of(event).to_string()
    }

    /// Stores `event` and returns its path.
    ///
    /// The handler calls this method for every event. It types no output.
    ///
    /// # Errors
    ///
    /// Returns a retryable error if the store fails.
    pub async fn keep(&self, event: &WebhookEvent) -> Result<Path, HandlerError> {
        let name = self.names.of(event, &self.objects, &self.prefix).await?;
        if self.metadata == Metadata::Sidecar {
            self.keep_sidecar(&name, event).await?;
        }
        let location = self.prefix.clone().join(name);
        let (bytes, attributes) = (event.raw(), self.attributes(event));
        if !self.objects.create(&location, bytes, attributes).await? {
            self.confirm(&location, event).await?;
        }
        Ok(location)
    }

    async fn keep_sidecar(&self, name: &str, event: &WebhookEvent) -> Result<(), ArchiveError> {
        let sidecars = self.prefix.clone().join(SIDECARS);
        let location = sidecars.join(name::sidecar_of(name));
        let bytes = metadata::sidecar(event);
        let create = self.objects.create(&location, &bytes, Attributes::new());
        if create.await? || is_json(&self.objects.read(&location).await?) {
            return Ok(());
        }
        telemetry::repaired(&location);
        let repair = self.objects.overwrite(&location, &bytes, Attributes::new());
        repair.await
    }

    fn attributes(&self, event: &WebhookEvent) -> Attributes {
        match self.metadata {
            Metadata::Attributes => metadata::attributes(event),
            Metadata::None | Metadata::Sidecar => Attributes::new(),
        }
    }

    /// Compares the event with the stored object. Writes the object again if it was cut off, or may not be durable yet.
    async fn confirm(&self, location: &Path, event: &WebhookEvent) -> Result<(), ArchiveError> {
        let kept = self.objects.read(location).await?;
        // The writer of a file may have been killed before it flushed the name. Stores with attributes are remote: what
        // they show is durable.
        let is_durable = self.metadata == Metadata::Attributes;
        match kept == event.raw() {
            true if is_durable => return Ok(()),
            true => {}
            // Every event is JSON, so an object that is not JSON was cut off by a loss of power.
            false if !is_json(&kept) => telemetry::repaired(location),
            false => {
                telemetry::conflict(event, location);
                return Ok(());
            }
        }
        let (bytes, attributes) = (event.raw(), self.attributes(event));
        self.objects.overwrite(location, bytes, attributes).await
    }
}

fn is_json(bytes: &Bytes) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

impl WebhookHandler for Archive {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let location = self.keep(event).await?;
        telemetry::kept(event, &location);
        Ok(())
    }
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Debug of a store may show credentials.
        f.debug_struct("Archive")
            .field("store", &format_args!("{}", self.objects.store))
            .field("prefix", &self.prefix.as_ref())
            .finish()
    }
}

const SIDECARS: &str = ".meta";
