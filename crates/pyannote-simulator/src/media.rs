use std::{
    hash::{BuildHasher, RandomState},
    io,
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
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::{
    fs::{self, File},
    io::{AsyncReadExt, AsyncWriteExt},
};
use tower_pyannote::{Signature, SigningKey, WebhookSecret};

use super::{answer, state::Simulated};

/// Uploads, in files, for a day.
#[derive(Debug)]
pub(super) struct Media {
    dir: PathBuf,
    key: SigningKey,
    kept_for: Duration,
    uploads: AtomicU64,
    _temporary: Option<TempDir>,
}

impl Media {
    pub(super) fn open(data_dir: Option<&Path>, kept_for: Duration) -> Result<Self, String> {
        let (dir, temporary) = match data_dir {
            Some(dir) => (dir.join("media"), None),
            None => {
                let temporary = TempDir::with_prefix("pyannote-simulator-");
                let temporary =
                    temporary.map_err(|error| format!("cannot make a directory: {error}"))?;
                (temporary.path().join("media"), Some(temporary))
            }
        };
        std::fs::create_dir_all(&dir)
            .map_err(|error| format!("--data-dir: cannot store in {}: {error}", dir.display()))?;
        // Only this simulator has to know it, and only while it runs.
        let random = RandomState::new();
        let key = format!("{:016x}{:016x}", random.hash_one(1), random.hash_one(2));
        let key = WebhookSecret::new(key).map_err(|error| error.to_string())?;
        Ok(Self {
            dir,
            key: SigningKey::new(&key),
            kept_for,
            uploads: AtomicU64::new(0),
            _temporary: temporary,
        })
    }

    /// What is to be added to the address of the simulator, to do this with what is under a key.
    pub(super) fn presign(&self, method: &Method, key: &str) -> String {
        let expires = (SystemTime::now() + PRESIGNED_FOR).duration_since(UNIX_EPOCH);
        let expires = expires.unwrap_or_default().as_secs().to_string();
        let signature = self.sign(method, key, &expires).to_hex();
        // In the query, where clients leave a key of dots and slashes as it is.
        format!("/simulator/media?key={key}&expires={expires}&signature={signature}")
    }

    pub(super) async fn holds(&self, key: &str) -> bool {
        self.is_fresh(&self.path(key)).await
    }

    async fn is_fresh(&self, path: &Path) -> bool {
        let modified = fs::metadata(path).await.and_then(|file| file.modified());
        modified.is_ok_and(|time| time.elapsed().unwrap_or_default() < self.kept_for)
    }

    fn sign(&self, method: &Method, key: &str, expires: &str) -> Signature {
        self.key.sign(expires, format!("{method} {key}").as_bytes())
    }

    /// The key in the query of an address, if it was presigned for this method.
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

    /// A key may have any form of a path, its hash has not.
    fn path(&self, key: &str) -> PathBuf {
        let digest = Sha256::digest(key);
        self.dir.join(base16ct::lower::encode_string(&digest))
    }

    async fn store(&self, key: &str, body: Body) -> Result<StatusCode, io::Error> {
        self.sweep().await?;
        let count = self.uploads.fetch_add(1, Ordering::Relaxed);
        let part = self
            .dir
            .join(format!("{}-{count}.part", std::process::id()));
        let stored = write(&part, body).await;
        match stored {
            Ok(true) => fs::rename(&part, self.path(key))
                .await
                .map(|()| StatusCode::OK),
            Ok(false) => {
                fs::remove_file(&part).await?;
                Ok(StatusCode::PAYLOAD_TOO_LARGE)
            }
            Err(error) => {
                let _ = fs::remove_file(&part).await;
                Err(error)
            }
        }
    }

    async fn sweep(&self) -> io::Result<()> {
        let mut entries = fs::read_dir(&self.dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            if !self.is_fresh(&entry.path()).await {
                let _ = fs::remove_file(entry.path()).await;
            }
        }
        Ok(())
    }
}

/// Takes what is sent, or gives what was, if the address was presigned for that.
pub(super) async fn exchange(
    State(simulated): State<Arc<Simulated>>,
    RawQuery(query): RawQuery,
    method: Method,
    body: Body,
) -> Response {
    let media = &simulated.media;
    let query = query.unwrap_or_default();
    let Some(key) = media.presigned(&method, &query) else {
        return answer::message(
            StatusCode::FORBIDDEN,
            "the address is not presigned for this",
        );
    };
    if method == Method::PUT {
        return match media.store(key, body).await {
            Ok(status) => status.into_response(),
            Err(error) => {
                tracing::warn!(%error, "upload not kept");
                answer::message(StatusCode::INTERNAL_SERVER_ERROR, "the upload was not kept")
            }
        };
    }
    match File::open(media.path(key)).await {
        Ok(file) if media.holds(key).await => Body::from_stream(pieces(file)).into_response(),
        _ => answer::message(StatusCode::NOT_FOUND, "there is nothing under this key"),
    }
}

/// Whether it was not too large.
async fn write(path: &Path, body: Body) -> io::Result<bool> {
    let mut file = File::create(path).await?;
    let mut pieces = body.into_data_stream();
    let mut length = 0;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(io::Error::other)?;
        length += piece.len();
        if length > LARGEST {
            return Ok(false);
        }
        file.write_all(&piece).await?;
    }
    file.flush().await?;
    Ok(true)
}

fn pieces(file: File) -> impl stream::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; 64 << 10];
        let length = file.read(&mut piece).await?;
        piece.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(piece), file)))
    })
}

/// 1 GiB, the largest audio that pyannoteAI takes.
const LARGEST: usize = 1 << 30;
const PRESIGNED_FOR: Duration = Duration::from_secs(60 * 60);
