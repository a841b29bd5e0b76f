use std::{fmt, sync::Arc};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, path::Path};
use serde::de::IgnoredAny;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};

use crate::{
    config_error::{self, ConfigError},
    error::ArchiveError,
    name,
    name::EventName,
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
/// 2. **Whole or not at all.** Objects are created with [`PutMode::Create`], which stores make atomic. A store without it is
///    refused with an error at the first event.
/// 3. **Every error can be retried.** Until the event is stored, the handler fails.
///
/// A claim is one small object per event. Keep it for as long as the event may be repeated: without its claim, a repeated event
/// is stored a second time.
///
/// # On a local file system
///
/// `LocalFileSystem` writes a file under the name followed by `#` and a number, and then links it to its name, so the file system
/// needs hard links. A process that is killed in between leaves the file with `#` behind. Such a file is never listed, and never
/// taken for an event. The next delivery of the event writes another. Delete these files while no process writes to the
/// directory.
///
/// To survive a loss of power as well, the store needs `LocalFileSystem::with_fsync(true)`, which is off by default. Without it,
/// an object or a claim may be cut off; the archive writes it again when the event is delivered again. A claim that names no file
/// of its event is never followed, but replaced.
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
    store: Arc<dyn ObjectStore>,
    prefix: Path,
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
        let prefix = config_error::parse_prefix(prefix.as_ref())?;
        Ok(Self { store, prefix })
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
        let name = self.claim(event).await?;
        let location = self.prefix.clone().join(name);
        if !self.create(&location, event.raw()).await? {
            self.confirm(&location, event).await?;
        }
        Ok(location)
    }

    /// Returns the name of the event, which is the same for all its deliveries.
    async fn claim(&self, event: &WebhookEvent) -> Result<String, ArchiveError> {
        let name = EventName::of(event);
        let ours = name.to_string();
        let claim = self.prefix.clone().join(CLAIMS).join(name::claim_of(event));
        if self.create(&claim, &ours.clone().into()).await? {
            return Ok(ours);
        }
        let theirs = self.read(&claim).await?;
        if let Ok(theirs) = std::str::from_utf8(&theirs) {
            if name.is_of_same_event(theirs) {
                return Ok(theirs.to_owned());
            }
        }
        // The claim was cut off by a loss of power, or changed. An event that is stored twice is better than a lost one.
        telemetry::repaired(&claim);
        self.put(&claim, &ours.clone().into(), PutMode::Overwrite)
            .await?;
        Ok(ours)
    }

    /// Compares the event with the stored object. Writes the object again if it was cut off.
    async fn confirm(&self, location: &Path, event: &WebhookEvent) -> Result<(), ArchiveError> {
        let kept = self.read(location).await?;
        if kept == event.raw() {
            return Ok(());
        }
        // Every event is JSON, so an object that is not JSON was cut off by a loss of power.
        if serde_json::from_slice::<IgnoredAny>(&kept).is_err() {
            telemetry::repaired(location);
            return self.put(location, event.raw(), PutMode::Overwrite).await;
        }
        telemetry::conflict(event, location);
        Ok(())
    }

    /// Creates an object; returns `false` if there is one already.
    async fn create(&self, location: &Path, bytes: &Bytes) -> Result<bool, ArchiveError> {
        match self.put(location, bytes, PutMode::Create).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, location: &Path, bytes: &Bytes, mode: PutMode) -> Result<(), ArchiveError> {
        let payload = PutPayload::from_bytes(bytes.clone());
        match self
            .store
            .put_opts(location, payload, PutOptions::from(mode))
            .await
        {
            Ok(_) => Ok(()),
            Err(error) => Err(ArchiveError::write(location.clone(), error)),
        }
    }

    async fn read(&self, location: &Path) -> Result<Bytes, ArchiveError> {
        let read = async { self.store.get(location).await?.bytes().await };
        read.await
            .map_err(|error| ArchiveError::read(location.clone(), error))
    }
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
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &self.prefix.as_ref())
            .finish()
    }
}

const CLAIMS: &str = ".claims";
