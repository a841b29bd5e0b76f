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
use crate::request::InvalidRequest;

/// An audio to upload, of up to 1 GiB; it is read as it is sent and never held whole.
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
    /// The file cannot be opened, is empty, or is over 1 GiB.
    pub async fn from_path(path: impl AsRef<Path>) -> Result<Self, ClientError> {
        let cannot_open = |error| ClientError::io("the file could not be opened", error);
        let file = tokio::fs::File::open(path).await.map_err(cannot_open)?;
        let len = file.metadata().await.map_err(cannot_open)?.len();
        Ok(Self::from_reader(file, len)?)
    }

    /// Takes bytes at hand.
    ///
    /// # Errors
    ///
    /// There are none, or over 1 GiB.
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self, InvalidRequest> {
        let bytes: Bytes = bytes.into();
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self::from_reader(io::Cursor::new(bytes), len)
    }

    /// Takes a reader, and how many bytes come before its end.
    ///
    /// The upload fails if there turn out to be more or fewer.
    ///
    /// # Errors
    ///
    /// The length is 0, or over 1 GiB.
    pub fn from_reader(
        reader: impl AsyncRead + Send + 'static,
        len: u64,
    ) -> Result<Self, InvalidRequest> {
        match len {
            0 => Err(InvalidRequest::new("media", "is empty, give an audio")),
            1..=LARGEST => Ok(Self {
                reader: Box::pin(reader),
                len,
                progress: None,
            }),
            _ => Err(InvalidRequest::new(
                "media",
                "is over 1 GiB, give a shorter or a compressed audio",
            )),
        }
    }

    /// Sets what is told of each piece that goes out, on the task that sends it: it must not block. Default: nothing.
    pub fn with_progress(mut self, progress: impl FnMut(UploadProgress) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// Returns how many bytes there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn into_body(self) -> (UploadBody, UploadState) {
        let state = UploadState::default();
        let body = UploadBody(Mutex::new(Reading {
            pieces: ReaderStream::with_capacity(self.reader, PIECE),
            last: None,
            unread: self.len,
            sent: UploadProgress {
                sent: 0,
                total: self.len,
            },
            progress: self.progress,
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

/// How far an upload has come, in bytes handed to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadProgress {
    /// How many bytes have gone out.
    pub sent: u64,
    /// How many bytes there are.
    pub total: u64,
}

/// What is seen of an upload while its body is with the connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct UploadState {
    sent: Arc<AtomicU64>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl UploadState {
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Takes out why the audio could not be read, which the connection's own error does not say.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.take()
    }

    fn fail(&self, kind: io::ErrorKind, error: io::Error) -> io::Error {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        kind.into()
    }
}

/// The mutex is never locked: it only makes of a reader that is `Send` a body that is `Sync`.
pub(crate) struct UploadBody(Mutex<Reading>);

struct Reading {
    pieces: ReaderStream<Pin<Box<dyn AsyncRead + Send>>>,
    /// The piece that should be the last, kept until the reader is seen to end.
    last: Option<Bytes>,
    unread: u64,
    sent: UploadProgress,
    progress: Option<ProgressFn>,
    state: UploadState,
}

impl Reading {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            let piece = match ready!(Pin::new(&mut self.pieces).poll_next(cx)) {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(self.state.fail(error.kind(), error))));
                }
                None if self.unread > 0 => {
                    return Poll::Ready(Some(Err(self.wrong_length("fewer"))));
                }
                None => return Poll::Ready(self.last.take().map(Ok)),
            };
            let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            if len > self.unread {
                return Poll::Ready(Some(Err(self.wrong_length("more"))));
            }
            self.unread -= len;
            if self.unread > 0 {
                return Poll::Ready(Some(Ok(piece)));
            }
            // Once the length is complete nobody asks on, so what comes after must be looked for now.
            self.last = Some(piece);
        }
    }

    fn wrong_length(&self, which: &str) -> io::Error {
        let total = self.sent.total;
        let text = format!("the audio has {which} than the {total} bytes announced");
        let kind = io::ErrorKind::InvalidData;
        self.state.fail(kind, io::Error::new(kind, text))
    }

    fn tell(&mut self, piece: &Bytes) {
        self.sent.sent += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.state.sent.store(self.sent.sent, Ordering::Relaxed);
        if let Some(progress) = &mut self.progress {
            progress(self.sent);
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
        let reading = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let piece = ready!(reading.poll_piece(cx));
        if let Some(Ok(piece)) = &piece {
            reading.tell(piece);
        }
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        SizeHint::with_exact(reading.sent.total - reading.sent.sent)
    }
}

const LARGEST: u64 = 1 << 30;
const PIECE: usize = 64 * 1024;
