use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::shared_clock::SharedClock;

/// A download in progress, from [`Client::download`](crate::Client::download). It holds one chunk at a time in memory.
///
/// # Example: to a file
///
/// ```no_run
/// use pyannoteai_client::{Client, MediaKey};
///
/// # async fn download(client: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let mut file = tokio::fs::File::create("meeting.wav").await?;
/// let bytes = client.download(&MediaKey::new("meeting.wav")?).await?.copy_to(&mut file).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Download {
    response: Response,
    received: u64,
    limit: u64,
    stall_timeout: Duration,
    clock: SharedClock,
}

impl Download {
    pub(crate) fn new(response: Response, stall_timeout: Duration, clock: SharedClock) -> Self {
        Self {
            response,
            received: 0,
            limit: DEFAULT_LIMIT,
            stall_timeout,
            clock,
        }
    }

    /// Sets the maximum size, in bytes. Default: 1 GiB, which is also the maximum of an upload.
    pub fn with_limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// Returns the size in bytes, if the storage announced it.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Receives the next chunk. Returns `None` at the end.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if the connection broke or stalled, or if the media exceeds the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let announced = self.response.content_length().unwrap_or(0);
        let chunk = self
            .clock
            .within(self.stall_timeout, self.response.chunk())
            .await
            .ok_or_else(|| ClientError::new(ClientErrorKind::Timeout))?
            .map_err(ClientError::from_reqwest)?;
        let len = chunk.as_ref().map_or(0, Bytes::len);
        self.received += u64::try_from(len).unwrap_or(u64::MAX);
        if self.received.max(announced) > self.limit {
            return Err(ClientError::new(ClientErrorKind::TooLarge));
        }
        Ok(chunk)
    }

    /// Writes all chunks, flushes the writer, and returns the number of bytes.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and if the writer fails. A part may then have been written.
    pub async fn copy_to<W>(mut self, writer: &mut W) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let cannot_write = |error| ClientError::io("cannot write the download", error);
        while let Some(chunk) = self.chunk().await? {
            writer.write_all(&chunk).await.map_err(cannot_write)?;
        }
        writer.flush().await.map_err(cannot_write)?;
        Ok(self.received)
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("content_length", &self.content_length())
            .field("received", &self.received)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

const DEFAULT_LIMIT: u64 = 1 << 30;
