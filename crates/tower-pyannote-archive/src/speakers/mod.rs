mod error;
mod handler;
mod voiceprints;

use std::{fmt, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all};
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tower_pyannote::WebhookEvent;

use self::voiceprints::{check_label, check_voiceprint};
use crate::config_error::{self, ConfigError};

pub use self::{error::SpeakersError, handler::SpeakersHandler, voiceprints::Voiceprints};

/// Keeps the voiceprints of known speakers by label, so that they are recognized in later meetings.
///
/// 1. Register `Speakers` as a handler behind an inbox, and submit a voiceprint job for each speaker with
///    `VoiceprintRequest::with_reference("Ann")` of the crate `pyannoteai-client`. When the job succeeds, the voiceprint is kept
///    under the reference as its label. [`handler`](Self::handler) chooses other labels.
/// 2. Submit an identification with the voiceprints from [`voiceprints_of`](Self::voiceprints_of) or [`all`](Self::all):
///    `IdentifyRequest::new(url, voiceprints)` takes them as they are, and so does `with_speakers`.
///
/// As a handler, `Speakers` keeps the voiceprint of the event that was handled last. It keeps none for a job without a
/// reference, and none for an event without output. With `webhookStatusOnly`, fetch the output first: use `FetchOutput` of
/// `pyannoteai-client`. A reference that is not a valid label is a permanent error. An error of the store is retryable.
///
/// A voiceprint is kept at `{prefix}/{SHA-256 of the label}.json`, so that names of objects name nobody. Another voiceprint of
/// the same label replaces it. Objects are written whole or not at all if the store does so, as object stores and
/// `LocalFileSystem` do.
///
/// **Voiceprints are biometric data.** They are stored unencrypted: restrict access to the store, and [`remove`](Self::remove)
/// speakers who withdraw their consent. The archive keeps the events of voiceprint jobs too. `Debug` and errors show no
/// voiceprint.
///
/// # Example: a voice that is known in the next meeting
///
/// ```
/// use std::sync::Arc;
///
/// use object_store::memory::InMemory;
/// use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
/// use tower_pyannote_archive::Speakers;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let speakers = Speakers::new(Arc::new(InMemory::new()), "speakers")?;
///
/// let registry = HandlerRegistry::new().register("speakers", speakers.clone())?;
///
/// // The event of a voiceprint job that was submitted with the reference, as an inbox hands it to the worker.
/// let body = r#"{"jobId":"3c8a89a5","status":"succeeded","output":{"voiceprint":"AAAA"}}"#;
/// let delivery = Delivery::at(std::time::UNIX_EPOCH).with_reference(Some("Ann".into()));
/// let event = WebhookEvent::new(body.into(), delivery)?;
/// assert!(registry.handle(event).await.is_success());
///
/// let known: Vec<(String, String)> = speakers.voiceprints_of(["Ann"]).await?.into_iter().collect();
/// assert_eq!(known, [("Ann".to_owned(), "AAAA".to_owned())]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Speakers {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Speakers {
    /// Keeps voiceprints in `store` under `prefix`. Use the archive's store if you like, but a prefix of its own.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::InvalidPrefix`] if the prefix has an empty segment, one that is `.` or `..`, or a control
    /// character.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: impl AsRef<str>) -> Result<Self, ConfigError> {
        let prefix = config_error::parse_prefix(prefix.as_ref())?;
        Ok(Self { store, prefix })
    }

    /// Returns a handler that keeps the voiceprint of each voiceprint job that succeeds, under a label of your choice in place of
    /// the reference.
    ///
    /// `label_of` returns the label of the event's speaker, or `None` to keep no voiceprint. It can use the metadata of the
    /// event, for example, or a job id that your program recorded when it submitted the job. An event may arrive before the
    /// answer to the submission, so the job id may not be recorded yet.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use object_store::memory::InMemory;
    /// use tower_pyannote::{HandlerRegistry, WebhookEvent};
    /// # use tower_pyannote_archive::Speakers;
    ///
    /// # let speakers = Speakers::new(Arc::new(InMemory::new()), "speakers").unwrap();
    /// let label_of = |event: &WebhookEvent| Some(format!("team-7 {}", event.reference()?));
    /// let registry = HandlerRegistry::new().register("speakers", speakers.handler(label_of))?;
    /// # Ok::<(), tower_pyannote::ConfigError>(())
    /// ```
    pub fn handler<F>(&self, label_of: F) -> SpeakersHandler<F>
    where
        F: Fn(&WebhookEvent) -> Option<String>,
    {
        SpeakersHandler::new(self.clone(), label_of)
    }

    /// Keeps a voiceprint, and replaces an earlier one of the same label.
    ///
    /// # Errors
    ///
    /// Returns [`SpeakersError::InvalidLabel`] if the label is empty, longer than 100 characters, or begins with `SPEAKER_` in
    /// any case, as the API does. Returns [`SpeakersError::InvalidVoiceprint`] if the voiceprint is empty or longer than 20,000
    /// characters, and [`SpeakersError::Store`] if the store fails.
    pub async fn keep(&self, label: &str, voiceprint: &str) -> Result<(), SpeakersError> {
        check_label(label)?;
        check_voiceprint(voiceprint)?;
        let location = self.location_of(label);
        let record = Record {
            label: label.to_owned(),
            voiceprint: voiceprint.to_owned(),
        };
        let json = serde_json::to_vec(&record).expect("two strings are always JSON");
        match self.store.put(&location, PutPayload::from(json)).await {
            Ok(_) => Ok(()),
            Err(error) => Err(SpeakersError::store(&location, error)),
        }
    }

    /// Removes the voiceprint of a label, if there is one.
    ///
    /// # Errors
    ///
    /// Returns [`SpeakersError::Store`] if the store fails.
    pub async fn remove(&self, label: &str) -> Result<(), SpeakersError> {
        let location = self.location_of(label);
        match self.store.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(SpeakersError::store(&location, error)),
        }
    }

    /// Returns the labels of all speakers, sorted. Reads one object for each.
    ///
    /// # Errors
    ///
    /// Returns [`SpeakersError::Damaged`] or [`SpeakersError::Store`] if an object cannot be read.
    pub async fn labels(&self) -> Result<Vec<String>, SpeakersError> {
        let locations = self.locations(usize::MAX).await?;
        let mut labels = Vec::new();
        for some in locations.chunks(MAX_VOICEPRINTS) {
            let records = try_join_all(some.iter().map(|location| self.read(location))).await?;
            labels.extend(records.into_iter().flatten().map(|record| record.label));
        }
        labels.sort_unstable();
        Ok(labels)
    }

    /// Returns the voiceprints of these speakers, at most 50, for an identification.
    ///
    /// # Errors
    ///
    /// Returns [`SpeakersError::TooMany`] for more than 50 labels, which the API does not take, and
    /// [`SpeakersError::UnknownLabel`] for a label without voiceprint. Returns [`SpeakersError::Damaged`] or
    /// [`SpeakersError::Store`] if an object cannot be read.
    pub async fn voiceprints_of<L: Into<String>>(
        &self,
        labels: impl IntoIterator<Item = L>,
    ) -> Result<Voiceprints, SpeakersError> {
        let labels = labels.into_iter().take(MAX_VOICEPRINTS + 1);
        let labels: Vec<String> = labels.map(Into::into).collect();
        check_count(labels.len())?;
        let read = labels.into_iter().map(async |label| {
            let record = self.read(&self.location_of(&label)).await?;
            record.ok_or(SpeakersError::UnknownLabel { label })
        });
        Ok(Voiceprints::new(try_join_all(read).await?))
    }

    /// Returns the voiceprints of all speakers, sorted by label, if there are at most 50.
    ///
    /// # Errors
    ///
    /// Returns [`SpeakersError::TooMany`] if there are more than 50: choose some of the [`labels`](Self::labels). Returns
    /// [`SpeakersError::Damaged`] or [`SpeakersError::Store`] if an object cannot be read.
    pub async fn all(&self) -> Result<Voiceprints, SpeakersError> {
        let locations = self.locations(MAX_VOICEPRINTS + 1).await?;
        check_count(locations.len())?;
        let records = try_join_all(locations.iter().map(|location| self.read(location))).await?;
        let mut records: Vec<Record> = records.into_iter().flatten().collect();
        records.sort_unstable_by(|a, b| a.label.cmp(&b.label));
        Ok(Voiceprints::new(records))
    }

    fn location_of(&self, label: &str) -> Path {
        let hash = base16ct::lower::encode_string(&Sha256::digest(label));
        self.prefix.clone().join(hash + SUFFIX)
    }

    /// Lists the objects that may be voiceprints, up to a limit.
    async fn locations(&self, most: usize) -> Result<Vec<Path>, SpeakersError> {
        let listed = self
            .store
            .list(Some(&self.prefix))
            .map_ok(|meta| meta.location);
        let voiceprints = listed.try_filter(|location| std::future::ready(self.is_ours(location)));
        let locations = voiceprints.take(most).try_collect().await;
        locations.map_err(|error| SpeakersError::store(&self.prefix, error))
    }

    fn is_ours(&self, location: &Path) -> bool {
        let name = location
            .filename()
            .and_then(|name| name.strip_suffix(SUFFIX));
        name.is_some_and(|hash| {
            hash.len() == HASH_DIGITS && base16ct::lower::decode_vec(hash).is_ok()
        }) && location.parts_count() == self.prefix.parts_count() + 1
    }

    /// Reads an object; `None` if there is none.
    async fn read(&self, location: &Path) -> Result<Option<Record>, SpeakersError> {
        let failed = |error| SpeakersError::store(location, error);
        let object = match self.store.get(location).await {
            Ok(object) if object.meta.size <= MAX_SIZE => object,
            Ok(_) => return Err(SpeakersError::damaged(location)),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let json = object.bytes().await.map_err(failed)?;
        let record = serde_json::from_slice::<Record>(&json).ok();
        let record = record.filter(|record| self.location_of(&record.label) == *location);
        record
            .map(Some)
            .ok_or_else(|| SpeakersError::damaged(location))
    }
}

impl fmt::Debug for Speakers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The Debug of a store may show credentials.
        f.debug_struct("Speakers")
            .field("store", &format_args!("{}", self.store))
            .field("prefix", &self.prefix.as_ref())
            .finish()
    }
}

/// The content of an object.
#[derive(Deserialize, Serialize)]
struct Record {
    label: String,
    voiceprint: String,
}

fn check_count(count: usize) -> Result<(), SpeakersError> {
    if count > MAX_VOICEPRINTS {
        return Err(SpeakersError::TooMany);
    }
    Ok(())
}

const MAX_VOICEPRINTS: usize = 50;
const SUFFIX: &str = ".json";
const HASH_DIGITS: usize = 64;
/// More than the longest label and voiceprint take, even if every character is escaped.
const MAX_SIZE: u64 = 256 << 10;
