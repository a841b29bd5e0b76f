use std::fmt;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::error::ClientError;
use crate::invalid_request::InvalidRequest;

/// An audio to upload, of at most 1 GiB. It is read while it is sent, in chunks of 64 KiB.
///
/// # Example: a progress bar
///
/// ```no_run
/// use pyannoteai_client::{Client, MediaKey, Upload};
///
/// # async fn upload(client: Client) -> Result<(), pyannoteai_client::ClientError> {
/// let audio = Upload::from_path("meeting.wav")
///     .await?
///     .with_progress(|progress| eprintln!("{} of {} bytes", progress.sent, progress.total));
/// client.upload(MediaKey::new("meeting.wav")?, audio).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Upload {
    reader: Pin<Box<dyn AsyncRead + Send>>,
    len: u64,
    progress: Option<ProgressFn>,
}

type ProgressFn = Box<dyn FnMut(UploadProgress) + Send>;

impl Upload {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the file cannot be opened, is empty, or is larger than 1 GiB.
    pub async fn from_path(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let cannot_open = |error| ClientError::io("cannot open the file", error);
        let file = tokio::fs::File::open(path).await.map_err(cannot_open)?;
        let len = file.metadata().await.map_err(cannot_open)?.len();
        Ok(Self::from_reader(file, len)?)
    }

    /// Uploads bytes from memory.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if there are no bytes, or more than 1 GiB.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, InvalidRequest> {
        let bytes: Bytes = bytes.into();
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::from_reader(io::Cursor::new(bytes), len)
    }

    /// Uploads from a reader of `len` bytes.
    ///
    /// The upload fails if the reader has more bytes or fewer.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the length is 0, or more than 1 GiB.
    pub fn from_reader(
        reader: impl AsyncRead + Send + 'static,
        len: u64,
    ) -> Result<Self, InvalidRequest> {
        let reason = match len {
            0 => "is empty: give an audio",
            1..=MAX_LEN => {
                return Ok(Self {
                    reader: Box::pin(reader),
                    len,
                    progress: None,
                });
            }
            _ => "is larger than 1 GiB: give a shorter or a compressed audio",
        };
        Err(InvalidRequest::new("media", reason))
    }

    /// Sets a callback for the progress, called after each chunk of at most 64 KiB. Default: none.
    ///
    /// The callback must not block, because it runs on the task that sends the upload.
    pub fn with_progress(mut self, progress: impl FnMut(UploadProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Returns the length in bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an upload is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn into_body(self) -> (UploadBody, UploadState) {
        let state = UploadState::default();
        let body = UploadBody(Mutex::new(ChunkReader {
            chunks: ReaderStream::with_capacity(self.reader, CHUNK_LEN),
            last: None,
            unread: self.len,
            progress: UploadProgress {
                sent: 0,
                total: self.len,
            },
            on_progress: self.progress,
            state: state.clone(),
        }));
        (body, state)
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

/// The progress of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadProgress {
    /// The number of bytes handed to the connection.
    pub sent: u64,
    /// The length of the upload in bytes.
    pub total: u64,
}

/// The state of an upload that stays visible after the HTTP client has taken the body.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadState {
    sent: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl UploadState {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Takes the error of the reader, which the HTTP client's error does not contain.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take()
    }

    fn fail(&self, kind: io::ErrorKind, error: io::Error) -> io::Error {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        kind.into()
    }
}

/// The mutex is there because a body must be `Sync`, and the reader is only `Send`.
pub(crate) struct UploadBody(Mutex<ChunkReader>);

struct ChunkReader {
    chunks: ReaderStream<Pin<Box<dyn AsyncRead + Send>>>,
    /// The last chunk by the announced length, held until the reader ends.
    last: Option<Bytes>,
    unread: u64,
    progress: UploadProgress,
    on_progress: Option<ProgressFn>,
    state: UploadState,
}

impl ChunkReader {
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let chunk = match ready!(Pin::new(&mut self.chunks).poll_next(cx)) {
                Some(Ok(chunk)) => chunk,
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(self.state.fail(error.kind(), error))));
                }
                None if self.unread > 0 => {
                    return Poll::Ready(Some(Err(self.wrong_length("fewer"))));
                }
                None => return Poll::Ready(self.last.take().map(Ok)),
            };
            let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            if len > self.unread {
                return Poll::Ready(Some(Err(self.wrong_length("more"))));
            }
            self.unread -= len;
            if self.unread > 0 {
                return Poll::Ready(Some(Ok(chunk)));
            }
            // The HTTP client does not poll past the announced length, so look for excess bytes now.
            self.last = Some(chunk);
        }
    }

    fn wrong_length(&self, which: &str) -> io::Error {
        let total = self.progress.total;
        let text = format!("the audio has {which} than the {total} bytes announced");
        let kind = io::ErrorKind::InvalidData;
        self.state.fail(kind, io::Error::new(kind, text))
    }

    fn report(&mut self, chunk: &Bytes) {
        self.progress.sent += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.state.sent.store(self.progress.sent, Ordering::Relaxed);
        if let Some(on_progress) = &mut self.on_progress {
            on_progress(self.progress);
        }
    }
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let reader = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let chunk = ready!(reader.poll_chunk(cx));
        if let Some(Ok(chunk)) = &chunk {
            reader.report(chunk);
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let reader = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SizeHint::with_exact(reader.progress.total - reader.progress.sent)
    }
}

const MAX_LEN: u64 = 1 << 30;
const CHUNK_LEN: usize = 64 * 1024;
