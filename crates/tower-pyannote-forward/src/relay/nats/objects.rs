use async_nats::{
    header::HeaderMap,
    jetstream::{
        Context,
        context::{GetStreamError, ObjectStoreError},
        object_store::{Config, ObjectMetadata, ObjectStore},
    },
};
use base64ct::{Base64Url, Encoding};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use super::{NatsError, builder::Settings, is_absent};

/// The bucket of large bodies, which is opened at the first one.
pub(super) struct Objects {
    context: Context,
    settings: Settings,
    bucket: OnceCell<ObjectStore>,
}

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
        // A retry does not replace the object, because a consumer may be reading it.
        let is_kept = bucket.info(name).await.is_ok_and(|info| {
            let of_body = format!("SHA-256={}", Base64Url::encode_string(&digest));
            !info.deleted && info.size == body.len() && info.digest == Some(of_body)
        });
        if !is_kept {
            let largest = self.context.client().max_payload();
            let metadata = ObjectMetadata {
                name: name.to_owned(),
                chunk_size: Some(CHUNK.min(largest / 2)),
                ..ObjectMetadata::default()
            };
            let put = bucket.put(metadata, &mut &body[..]).await;
            put.map_err(|error| {
                let bucket = &self.settings.bucket;
                NatsError::because(format!("the bucket {bucket} did not take the body"), error)
            })?;
        }
        headers.insert("pyannote-object-bucket", self.settings.bucket.as_str());
        headers.insert("pyannote-object-name", name);
        headers.insert("pyannote-object-size", body.len().to_string());
        let digest = base16ct::lower::encode_string(&digest);
        headers.insert("pyannote-object-sha256", digest);
        Ok(())
    }

    pub(super) async fn bucket(&self) -> Result<&ObjectStore, NatsError> {
        self.bucket.get_or_try_init(|| self.open()).await
    }

    async fn open(&self) -> Result<ObjectStore, NatsError> {
        let name = &self.settings.bucket;
        match self.context.get_object_store(name).await {
            Ok(bucket) => Ok(bucket),
            Err(error) if is_missing(&error) && self.settings.create => {
                let created = self.context.create_object_store(Config {
                    bucket: name.clone(),
                    max_age: self.settings.max_age,
                    ..Config::default()
                });
                created.await.map_err(|error| {
                    NatsError::because(format!("the bucket {name} cannot be created"), error)
                })
            }
            Err(error) if is_missing(&error) => Err(NatsError::new(format!(
                "there is no bucket {name} for a body over the server's max_payload: create it, or set create_if_absent"
            ))),
            Err(error) => Err(NatsError::because(
                format!("the bucket {name} cannot be opened"),
                error,
            )),
        }
    }
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
