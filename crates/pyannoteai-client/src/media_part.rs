use std::ops::Range;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RANGE};
use reqwest::{Response, StatusCode};

use crate::client::Client;
use crate::download::Download;
use crate::error::ClientError;
use crate::media::PresignedUrl;
use crate::telemetry;

/// A part of an audio file, from [`Client::download_part`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MediaPart {
    /// The bytes of the part. At the end of the file, fewer than requested.
    pub bytes: Bytes,
    /// The size of the whole file, in bytes.
    pub size: u64,
    /// The media type that the storage sent.
    pub content_type: Option<String>,
}

impl Client {
    /// Downloads a range of bytes of an audio file into memory.
    ///
    /// [`media_output`](Self::media_output) returns the URL. One URL serves several parts, until it expires. An empty range
    /// requests one byte. The client does not retry the request.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] of kind [`Storage`](crate::ClientErrorKind::Storage) if the storage refused the request: with
    /// the status 416 if the part begins after the end, and 403 if the URL has expired. Returns another kind if the
    /// connection broke or stalled, and [`Decode`](crate::ClientErrorKind::Decode) if the storage sent another part.
    pub async fn download_part(
        &self,
        url: &PresignedUrl,
        range: Range<u64>,
    ) -> Result<MediaPart, ClientError> {
        let part = self.read_part(url, range).await;
        telemetry::requested("download_part", part.as_ref().err());
        part
    }

    async fn read_part(
        &self,
        url: &PresignedUrl,
        range: Range<u64>,
    ) -> Result<MediaPart, ClientError> {
        let last = range.end.saturating_sub(1).max(range.start);
        let wanted = format!("bytes={}-{last}", range.start);
        let request = self.shared.http.get(url.url()).header(RANGE, wanted);
        let response = self.receive(request).await?;
        let size = size_from(&response, range.start)
            .ok_or_else(|| ClientError::decode("the storage did not send the requested part"))?;
        let content_type = text(response.headers(), CONTENT_TYPE).map(str::to_owned);
        let length = usize::try_from((last - range.start).saturating_add(1)).unwrap_or(usize::MAX);
        let (stall_timeout, clock) = (self.shared.stall_timeout, self.shared.clock.clone());
        let mut download = Download::new(response, stall_timeout, clock);
        let mut bytes = BytesMut::new();
        while bytes.len() < length {
            let Some(chunk) = download.chunk().await? else {
                break;
            };
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(length);
        Ok(MediaPart {
            bytes: bytes.freeze(),
            size,
            content_type,
        })
    }
}

/// Returns the size of the whole file, if the response begins at `start`.
fn size_from(response: &Response, start: u64) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return response.content_length().filter(|_| start == 0);
    }
    let range = text(response.headers(), CONTENT_RANGE)?.strip_prefix("bytes ")?;
    let (part, size) = range.split_once('/')?;
    let begins = part.split_once('-')?.0.parse() == Ok(start);
    size.parse().ok().filter(|_| begins)
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}
