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

/// A handler that keeps each event whole, its bytes as received, in an object store.
///
/// An event is kept at `{prefix}/{received}_{kind}_{job id}_{status}.json`:
///
/// - `received` is when it was first received, in UTC, so that names sort by time, as
///   `20261124T034000.123456789Z`;
/// - `kind` is that of its output, `unknown`, or `none` if it has no output;
/// - the job id and the status stand as they are if they consist of 1 to 64 of `a`-`z`, `0`-`9`
///   and `-`. Any other is written as up to 40 such characters, a dot, and 32 hex digits of its
///   SHA-256. So no job id can leave the prefix, make a name longer than a file may have, or share
///   another's name, even on a file system that ignores case.
///
/// 1. **One object an event.** Deliveries of the same job id and status keep one object, the
///    first, also when they arrive at once or at several servers that share the store: whoever
///    first creates `{prefix}/.claims/{SHA-256 of job id and status}` settles the name. If a
///    repeat's body differs, the first is kept, and the conflict is logged and counted.
/// 2. **Whole or not at all.** Objects are created by [`PutMode::Create`], which stores make
///    atomic. A store that does not know it is refused with an error at the first event.
/// 3. **Every error may be tried again**: until the event is kept, it does not count as handled.
///
/// A claim is one small object an event, and has to be left alone for as long as the event may be
/// repeated: without its claim it would be kept a second time.
///
/// # On a local file system
///
/// `object_store`'s `LocalFileSystem` writes a file beside its place, under the name followed by
/// `#` and a number, and then links it to its name, which fails if that exists; so the file system
/// has to know hard links. A process killed in between leaves such a file behind, whole or cut. It
/// is never listed nor taken for an event, and the next delivery of the event writes another and
/// puts things right; once no process writes to the directory, they can be deleted.
///
/// A process can be killed at any moment, then, but against loss of power the store has to be made
/// with `LocalFileSystem::with_fsync(true)`, which is off by default. An object or a claim that was
/// cut off by one all the same is put right when its event is delivered again; a claim that names no
/// file of its event is never followed, but written anew.
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
    /// Keeps events in `store` under `prefix`; an empty one is the root of the store.
    ///
    /// A registry gives each handler 8 s; a store far away may need
    /// [more](tower_pyannote::HandlerRegistry::with_timeout_for) for the largest bodies.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::InvalidPrefix`] if the prefix has an empty segment, one that
    /// is `.` or `..`, or a control character.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl AsRef<str>) -> Result<Self, ConfigError> {
        let prefix = config_error::parse_prefix(prefix.as_ref())?;
        Ok(Self { store, prefix })
    }

    /// Gives the name under which `event` is kept, if it is the first of its job id and status.
    #[must_use]
    pub fn name_of(event: &WebhookEvent) -> String {
        EventName::of(event).to_string()
    }

    /// Keeps `event` and says where.
    ///
    /// The handler calls this method for every event. It types no output.
    ///
    /// # Errors
    ///
    /// Returns an error that may be tried again if the event could not be kept.
    pub async fn keep(&self, event: &WebhookEvent) -> Result<Path, HandlerError> {
        let name = self.claim(event).await?;
        let location = self.prefix.clone().join(name);
        if !self.create(&location, event.raw()).await? {
            self.confirm(&location, event).await?;
        }
        Ok(location)
    }

    /// Settles the event's name for all of its deliveries.
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
        // Cut off below the store's promise of atomicity, or tampered with: kept twice is better than never.
        telemetry::repaired(&claim);
        self.put(&claim, &ours.clone().into(), PutMode::Overwrite)
            .await?;
        Ok(ours)
    }

    /// Looks at what is kept already where the event belongs.
    async fn confirm(&self, location: &Path, event: &WebhookEvent) -> Result<(), ArchiveError> {
        let kept = self.read(location).await?;
        if kept == event.raw() {
            return Ok(());
        }
        // Every event is JSON, so what is not was cut off below the store's promise of atomicity.
        if serde_json::from_slice::<IgnoredAny>(&kept).is_err() {
            telemetry::repaired(location);
            return self.put(location, event.raw(), PutMode::Overwrite).await;
        }
        telemetry::conflict(event, location);
        Ok(())
    }

    /// Creates an object; `false` if there is one already.
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
        // Not the store's own Debug, which may hold what grants access to it.
        f.debug_struct("Archive")
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &self.prefix.as_ref())
            .finish()
    }
}

const CLAIMS: &str = ".claims";
