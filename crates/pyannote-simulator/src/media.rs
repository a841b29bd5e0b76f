use std::{
    env,
    hash::{BuildHasher, RandomState},
    io::{self, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    body::Body,
    extract::{RawQuery, State},
    http::{
        HeaderMap, Method, StatusCode,
        header::{CONTENT_RANGE, RANGE},
    },
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncSeekExt},
};
use tokio_util::io::{ReaderStream, StreamReader};
use tower_pyannote::{Signature, SigningKey, WebhookSecret};

use crate::{answer, error::SimulatorError};

/// The uploads, each in a file, each kept for a day.
pub(crate) struct Media {
    dir: PathBuf,
    key: SigningKey,
    kept_for: Duration,
    uploads: AtomicU64,
    _temporary: Option<TempDir>,
}

impl Media {
    pub(crate) fn open(
        data_dir: Option<&Path>,
        kept_for: Duration,
    ) -> Result<Self, SimulatorError> {
        let fail = |path: &Path, error| {
            let path = path.to_owned();
            SimulatorError::DataDir { path, error }
        };
        let (parent, temporary) = match data_dir {
            Some(dir) => (dir.to_owned(), None),
            None => {
                let temporary = TempDir::with_prefix("pyannote-simulator-")
                    .map_err(|error| fail(&env::temp_dir(), error))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let dir = parent.join("media");
        std::fs::create_dir_all(&dir).map_err(|error| fail(&dir, error))?;
        // Presigned URLs need not outlive the simulator, so neither does the key.
        let random = RandomState::new();
        let key = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
        let key = WebhookSecret::new(key).expect("hex digits are a secret");
        Ok(Self {
            dir,
            key: SigningKey::new(&key),
            kept_for,
            uploads: AtomicU64::new(0),
            _temporary: temporary,
        })
    }

    /// Returns the path and query of a URL that allows `method` for the upload under `key`.
    pub(crate) fn presign(&self, method: &Method, key: &str) -> String {
        let expires = (SystemTime::now() + PRESIGNED_FOR).duration_since(UNIX_EPOCH);
        let expires = expires.unwrap_or_default().as_secs().to_string();
        let signature = self.sign(method, key, &expires).to_hex();
        // The key is in the query, because clients normalize dots and slashes in a path.
        format!("/simulator/media?key={key}&expires={expires}&signature={signature}")
    }

    pub(crate) async fn holds(&self, key: &str) -> bool {
        self.is_fresh(&self.path(key)).await
    }

    async fn is_fresh(&self, path: &Path) -> bool {
        let modified = fs::metadata(path).await.and_then(|file| file.modified());
        modified.is_ok_and(|time| time.elapsed().unwrap_or_default() < self.kept_for)
    }

    fn sign(&self, method: &Method, key: &str, expires: &str) -> Signature {
        self.key.sign(expires, format!("{method} {key}").as_bytes())
    }

    /// Returns the key in a query that is presigned for `method`.
    fn presigned<'a>(&self, method: &Method, query: &'a str) -> Option<&'a str> {
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == name).map(|pair| pair.1)
        };
        let (key, expires) = (value("key")?, value("expires")?);
        let signature = Signature::parse(value("signature")?.as_bytes()).ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let in_time = expires.parse::<u64>().is_ok_and(|expires| expires >= now);
        let is_ours = signature.matches(&self.sign(method, key, expires));
        (in_time && is_ours).then_some(key)
    }

    /// Returns the file of an upload. The name is a hash, because a key may look like any path.
    fn path(&self, key: &str) -> PathBuf {
        let digest = Sha256::digest(key);
        self.dir.join(base16ct::lower::encode_string(&digest))
    }

    async fn store(&self, key: &str, body: Body) -> io::Result<StatusCode> {
        self.delete_expired().await?;
        let count = self.uploads.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{count}.part", std::process::id());
        let part = self.dir.join(name);
        let stored = match write(&part, body).await {
            Ok(length) if length <= LARGEST => fs::rename(&part, self.path(key)).await,
            Ok(_) => {
                fs::remove_file(&part).await?;
                return Ok(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Err(error) => Err(error),
        };
        if stored.is_err() {
            let _ = fs::remove_file(&part).await;
        }
        stored.map(|()| StatusCode::OK)
    }

    async fn delete_expired(&self) -> io::Result<()> {
        let mut entries = fs::read_dir(&self.dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            if !self.is_fresh(&entry.path()).await {
                let _ = fs::remove_file(entry.path()).await;
            }
        }
        Ok(())
    }
}

/// Handles PUT and GET of a presigned URL.
pub(crate) async fn exchange(
    State(media): State<Arc<Media>>,
    RawQuery(query): RawQuery,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = query.unwrap_or_default();
    let Some(key) = media.presigned(&method, &query) else {
        return answer::message(
            StatusCode::FORBIDDEN,
            "the URL is not presigned for this request, or has expired",
        );
    };
    if method == Method::PUT {
        return match media.store(key, body).await {
            Ok(status) => status.into_response(),
            Err(error) => {
                tracing::warn!(%error, "cannot store an upload");
                answer::message(StatusCode::INTERNAL_SERVER_ERROR, "cannot store the upload")
            }
        };
    }
    match File::open(media.path(key)).await {
        Ok(file) if media.holds(key).await => send(file, range(&headers))
            .await
            .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response()),
        _ => answer::message(StatusCode::NOT_FOUND, "nothing was uploaded under this key"),
    }
}

/// Sends a file, or one part of it.
async fn send(mut file: File, range: Option<(u64, u64)>) -> io::Result<Response> {
    let size = file.metadata().await?.len();
    let Some((start, last)) = range else {
        return Ok(Body::from_stream(ReaderStream::new(file)).into_response());
    };
    if start >= size {
        let range = [(CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, range).into_response());
    }
    let last = last.min(size - 1);
    file.seek(SeekFrom::Start(start)).await?;
    let part = Body::from_stream(ReaderStream::new(file.take(last - start + 1)));
    let range = [(CONTENT_RANGE, format!("bytes {start}-{last}/{size}"))];
    Ok((StatusCode::PARTIAL_CONTENT, range, part).into_response())
}

/// Returns the first and the last byte of a `Range` header of the form `bytes=START-` or `bytes=START-END`. Ignores other forms.
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (start, last) = range.split_once('-')?;
    let start = start.parse().ok()?;
    let last = match last {
        "" => u64::MAX,
        last => last.parse().ok()?,
    };
    (start <= last).then_some((start, last))
}

/// Writes a body to a file and returns its length, or a length over [`LARGEST`] if it is too large.
async fn write(path: &Path, body: Body) -> io::Result<u64> {
    let body = body.into_data_stream().map_err(io::Error::other);
    let mut body = StreamReader::new(body).take(LARGEST + 1);
    let mut file = File::create(path).await?;
    // Flushes the file at the end.
    tokio::io::copy_buf(&mut body, &mut file).await
}

/// 1 GiB, the limit of pyannoteAI.
const LARGEST: u64 = 1 << 30;
const PRESIGNED_FOR: Duration = Duration::from_secs(60 * 60);
