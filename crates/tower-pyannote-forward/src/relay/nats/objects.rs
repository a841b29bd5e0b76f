use async_nats::{
    header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_ROLLUP},
    jetstream::{
        Context,
        context::{GetStreamError, ObjectStoreError},
        object_store::{Config, ObjectInfo, ObjectOptions, ObjectStore},
        stream::Stream,
    },
};
use base64ct::{Base64Url, Encoding};
use bytes::Bytes;
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{NatsError, builder::Settings, is_absent};

/// The bucket of large bodies, which is opened at the first one.
pub(super) struct Objects {
    context: Context,
    settings: Settings,
    bucket: OnceCell<Bucket>,
}

pub(super) struct Bucket {
    objects: ObjectStore,
    /// The stream that contains the chunks and the descriptions of the objects.
    stream: Stream,
}

/// A body as an object.
struct Object<'a> {
    name: &'a str,
    body: &'a Bytes,
    digest: [u8; 32],
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl Objects {
    pub(super) fn new(context: Context, settings: &Settings) -> Self {
        Self {
            context,
            settings: settings.clone(),
            bucket: OnceCell::new(),
        }
    }

    /// Stores a body as an object, unless it is stored already, and adds the headers that name it.
    pub(super) async fn keep(
        &self,
        name: &str,
        body: &Bytes,
        headers: &mut HeaderMap,
    ) -> Result<(), NatsError> {
        let bucket = self.bucket().await?;
        let digest = digest(body).await;
        let object = Object { name, body, digest };
        let failed = |error| {
            let bucket = &self.settings.bucket;
            NatsError::because(format!("the bucket {bucket} did not take the body"), error)
        };
        // Read before the description, so that all chunks of an object without a description were stored before.
        let end = bucket.end().await.map_err(failed)?;
        let stored = bucket.objects.info(name).await.ok();
        // A retry does not replace the object, because a consumer may be reading it.
        let is_kept = match &stored {
            Some(info) => object.is(info) && self.is_whole(bucket, info).await,
            None => false,
        };
        if !is_kept {
            let put = self.put(bucket, &object, stored.as_ref(), end).await;
            put.map_err(failed)?;
        }
        headers.insert("pyannote-object-bucket", self.settings.bucket.as_str());
        headers.insert("pyannote-object-name", name);
        headers.insert("pyannote-object-size", body.len().to_string());
        headers.insert("pyannote-object-sha256", object.id());
        Ok(())
    }

    /// Stores the chunks of an object, then its description.
    ///
    /// `ObjectStore::put` names the chunks of each upload by a random id, so nobody finds the chunks of a killed upload. This
    /// function names them by the digest of the body, so that the next upload of the body deletes them first.
    ///
    /// Deletes only chunks before the sequence `end`. Otherwise a process that was suspended could delete the object that
    /// another process has stored and announced meanwhile. With later chunks in the bucket, the first chunk here is refused.
    async fn put(
        &self,
        bucket: &Bucket,
        object: &Object<'_>,
        stored: Option<&ObjectInfo>,
        end: u64,
    ) -> Result<(), Failure> {
        let subject = self.chunks(&object.id());
        // The server takes the first sequence for no limit.
        if end > 1 {
            let purge = bucket.stream.purge().sequence(end);
            purge.filter(&subject).await?;
        }
        let size = CHUNK.min(self.context.client().max_payload() / 2).max(1);
        let (mut begin, mut chunks, mut last) = (0, 0, 0);
        while begin < object.body.len() {
            let end = object.body.len().min(begin.saturating_add(size));
            let mut headers = HeaderMap::new();
            // Fails if another process uploads the same body at the same time, because the chunks would mix.
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, last.to_string());
            let chunk = object.body.slice(begin..end);
            let published = self
                .context
                .publish_with_headers(subject.clone(), headers, chunk);
            last = published.await?.await?.sequence;
            (begin, chunks) = (end, chunks + 1);
        }
        let info = ObjectInfo {
            name: object.name.to_owned(),
            description: None,
            metadata: Default::default(),
            headers: None,
            options: Some(ObjectOptions {
                link: None,
                max_chunk_size: Some(size),
            }),
            bucket: self.settings.bucket.clone(),
            nuid: object.id(),
            size: object.body.len(),
            chunks,
            modified: None,
            digest: Some(object.digest()),
            deleted: false,
        };
        let mut headers = HeaderMap::new();
        // Replaces the description of an earlier upload.
        headers.insert(NATS_ROLLUP, "sub");
        let name = Base64Url::encode_string(object.name.as_bytes());
        let subject = format!("$O.{}.M.{name}", self.settings.bucket);
        let info = serde_json::to_vec(&info)?;
        let published = self
            .context
            .publish_with_headers(subject, headers, info.into());
        published.await?.await?;
        match stored {
            Some(stored) if stored.nuid != object.id() => {
                let chunks = self.chunks(&stored.nuid);
                bucket.stream.purge().filter(chunks).await?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns whether the bucket has all chunks of an object. A killed upload of another process may have deleted some.
    async fn is_whole(&self, bucket: &Bucket, info: &ObjectInfo) -> bool {
        let subject = self.chunks(&info.nuid);
        let Ok(mut found) = bucket.stream.info_with_subjects(subject).await else {
            return false;
        };
        let found = found.try_next().await;
        matches!(found, Ok(Some((_, chunks))) if chunks == info.chunks)
    }

    /// Returns the subject of the chunks of an object.
    fn chunks(&self, id: &str) -> String {
        format!("$O.{}.C.{id}", self.settings.bucket)
    }

    pub(super) async fn bucket(&self) -> Result<&Bucket, NatsError> {
        self.bucket.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<Bucket, NatsError> {
        let name = &self.settings.bucket;
        let objects = match self.context.get_object_store(name).await {
            Ok(objects) => objects,
            Err(error) if is_missing(&error) && self.settings.create => {
                let created = self.context.create_object_store(Config {
                    bucket: name.clone(),
                    max_age: self.settings.max_age,
                    ..Config::default()
                });
                created.await.map_err(|error| {
                    NatsError::because(format!("the bucket {name} cannot be created"), error)
                })?
            }
            Err(error) if is_missing(&error) => {
                return Err(NatsError::new(format!(
                    "there is no bucket {name} for a body over the server's max_payload: create it, or set create_if_absent"
                )));
            }
            Err(error) => return Err(unopened(name, error)),
        };
        let stream = self.context.get_stream(format!("OBJ_{name}")).await;
        let stream = stream.map_err(|error| unopened(name, error))?;
        Ok(Bucket { objects, stream })
    }
}

impl Bucket {
    /// Returns the sequence of the next message.
    async fn end(&self) -> Result<u64, Failure> {
        let info = self.stream.get_info().await?;
        Ok(info.state.last_sequence + 1)
    }
}

impl Object<'_> {
    /// Returns the id in the subject of the chunks: the SHA-256 of the body as 64 hex digits.
    fn id(&self) -> String {
        base16ct::lower::encode_string(&self.digest)
    }

    fn digest(&self) -> String {
        format!("SHA-256={}", Base64Url::encode_string(&self.digest))
    }

    fn is(&self, info: &ObjectInfo) -> bool {
        let digest = info.digest.as_ref();
        !info.deleted && info.size == self.body.len() && digest == Some(&self.digest())
    }
}

fn unopened(bucket: &str, error: impl Into<Failure>) -> NatsError {
    NatsError::because(format!("the bucket {bucket} cannot be opened"), error)
}

fn is_missing(error: &ObjectStoreError) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<GetStreamError>())
        .is_some_and(|error| is_absent(&error.kind()))
}

/// Hashes a large body on the pool.
async fn digest(body: &Bytes) -> [u8; 32] {
    let again = body.clone();
    match tokio::task::spawn_blocking(move || Sha256::digest(&again)).await {
        Ok(digest) => digest.into(),
        // The runtime shuts down.
        Err(_) => Sha256::digest(body).into(),
    }
}

/// Four times the default of NATS, because each chunk waits for the acknowledgement of the one before.
const CHUNK: usize = 512 << 10;
