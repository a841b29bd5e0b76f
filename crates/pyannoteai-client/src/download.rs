use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::time::Time;

/// Media on its way here, from [`Client::download`](crate::Client::download); it is never held whole.
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
    stall: Duration,
    time: Time,
}

impl Download {
    pub(crate) fn new(response: Response, stall: Duration, time: Time) -> Self {
        Self {
            response,
            received: 0,
            limit: DEFAULT_LIMIT,
            stall,
            time,
        }
    }

    /// Sets how many bytes are taken at most, 1 GiB by default, which is what an upload may have.
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// Returns how many bytes there are, if the storage says so.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Receives the next piece, `None` at the end.
    ///
    /// # Errors
    ///
    /// The connection broke or stalled, or there are more bytes than the limit allows.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, ClientError> {
        let announced = self.response.content_length().unwrap_or(0);
        let received = self.time.within(self.stall, self.response.chunk()).await;
        let Some(received) = received else {
            return Err(ClientError::new(ClientErrorKind::Timeout));
        };
        let chunk = received?;
        let len = chunk.as_ref().map_or(0, Bytes::len);
        self.received += u64::try_from(len).unwrap_or(u64::MAX);
        if self.received.max(announced) > self.limit {
            return Err(ClientError::new(ClientErrorKind::TooLarge));
        }
        Ok(chunk)
    }

    /// Writes all that comes, flushes it, and returns how many bytes it was.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), or it could not be written; then a part may have been.
    pub async fn copy_to<W>(mut self, writer: &mut W) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let cannot_write = |error| ClientError::io("the download could not be written", error);
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
