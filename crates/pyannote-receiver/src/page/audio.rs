//! Plays the recording that a job was submitted with, from pyannoteAI's temporary storage.
//!
//! The receiver passes the bytes on and keeps the presigned URL to itself, because everyone who has the URL can read the
//! recording, and because the page loads nothing from other hosts.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{ACCEPT_RANGES, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use pyannoteai_client::{Client, ClientError, ClientErrorKind, MediaKey, MediaPart, PresignedUrl};
use tokio::{sync::Semaphore, time};

use super::{
    PageState,
    error::{ApiFailed, Failed},
    room::held,
};
use crate::{api::ErrorBody, error::in_full};

/// The recordings of jobs that were submitted with a `media://` URL.
pub(super) struct Recordings {
    client: Client,
    /// The latest URLs, the newest last.
    urls: Mutex<Vec<Granted>>,
    /// Bounds the requests to the API and the storage.
    requests: Semaphore,
}

struct Granted {
    key: MediaKey,
    url: PresignedUrl,
    until: Instant,
}

impl Recordings {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            urls: Mutex::default(),
            requests: Semaphore::new(MOST_REQUESTS),
        }
    }

    /// Returns up to `length` bytes of a recording, from the byte `start`.
    async fn part(&self, key: &MediaKey, start: u64, length: u64) -> Result<MediaPart, Failed> {
        let read = async {
            let _permit = self.requests.acquire().await;
            let range = start..start.saturating_add(length);
            let known = self.known(key);
            let is_known = known.is_some();
            let url = match known {
                Some(url) => url,
                None => self.grant(key).await?,
            };
            match self.client.download_part(&url, range.clone()).await {
                // The URL may have expired.
                Err(error) if is_known && error.status() == Some(StatusCode::FORBIDDEN) => {
                    let url = self.grant(key).await?;
                    self.client.download_part(&url, range).await
                }
                part => part,
            }
        };
        let read = time::timeout(TIMEOUT, read).await;
        let read = read.map_err(|_| {
            Failed::Unavailable("the recording did not arrive within 30 s".to_owned())
        })?;
        read.map_err(|error| failed(&error))
    }

    fn known(&self, key: &MediaKey) -> Option<PresignedUrl> {
        let urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        let granted = urls.iter().find(|granted| granted.key == *key)?;
        (Instant::now() < granted.until).then(|| granted.url.clone())
    }

    async fn grant(&self, key: &MediaKey) -> Result<PresignedUrl, ClientError> {
        let url = self.client.media_output(key).await?;
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        urls.retain(|granted| granted.key != *key);
        if urls.len() == MOST_URLS {
            urls.remove(0);
        }
        urls.push(Granted {
            key: key.clone(),
            url: url.clone(),
            until: Instant::now() + LIFETIME,
        });
        Ok(url)
    }
}

fn failed(error: &ClientError) -> Failed {
    if error.kind() == ClientErrorKind::Storage {
        match error.status() {
            Some(StatusCode::NOT_FOUND) => return Failed::NotFound,
            Some(StatusCode::RANGE_NOT_SATISFIABLE) => {
                return Failed::Invalid("range: the recording ends before this byte".to_owned());
            }
            _ => {}
        }
    }
    let error = in_full(error);
    tracing::warn!(error, "the page cannot read a recording");
    Failed::Unavailable(format!("the recording cannot be read: {error}"))
}

/// Play a part of the recording that the job was submitted with
///
/// Needs the header `Range: bytes=START-` or `Range: bytes=START-END`. The part has at most 1 MiB. Answers 404 if the receiver
/// has no API key, if the inbox has no submission of the job with a `media://` URL, or if pyannoteAI has deleted the recording.
#[utoipa::path(get, path = "/api/v1/events/{id}/audio", tag = "meetings", params(("Range" = String, Header)), responses((status = 206, content_type = "audio/*"), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 503, body = ErrorBody)))]
pub(super) async fn audio(
    State(state): State<Arc<PageState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiFailed> {
    let recordings = state.recordings.as_ref().ok_or(Failed::NotFound)?;
    let details = state.inbox.details(&id).await?.ok_or(Failed::NotFound)?;
    let media = details.media.ok_or(Failed::NotFound)?;
    let key = MediaKey::new(media).map_err(|_| Failed::NotFound)?;
    let (start, length) = range(&headers)
        .ok_or_else(|| Failed::Invalid("range: send `Range: bytes=START-END`".to_owned()))?;
    let reserved = state.room.reserve(length).await.map_err(Failed::from)?;
    let part = recordings.part(&key, start, length).await?;
    let end = start + u64::try_from(part.bytes.len()).unwrap_or_default();
    let named = format!("bytes {start}-{}/{}", end.saturating_sub(1), part.size);
    // Other types are not passed on, because a browser would show such an answer as a page of the receiver.
    let kind = part
        .content_type
        .filter(|kind| kind.starts_with("audio/") || kind.starts_with("video/"));
    let kind = kind.and_then(|kind| HeaderValue::from_str(&kind).ok());
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let mut response = held(part.bytes, reserved);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let named = HeaderValue::from_str(&named).map_err(|_| super::read::broken())?;
    let added = [
        (CONTENT_RANGE, named),
        (CONTENT_TYPE, kind),
        (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
    ];
    Ok((added, response).into_response())
}

/// Returns the first byte and the number of bytes of a `Range` header, at most [`LONGEST_PART`]. Ignores a header with several
/// ranges, or with a range that counts from the end.
fn range(headers: &HeaderMap) -> Option<(u64, u64)> {
    let range = headers.get(RANGE)?.to_str().ok()?.strip_prefix("bytes=")?;
    let (start, last) = range.split_once('-')?;
    let start: u64 = start.parse().ok().filter(|start| *start < LARGEST)?;
    let last = match last {
        "" => u64::MAX,
        last => last.parse().ok().filter(|last| *last >= start)?,
    };
    Some((start, (last - start).saturating_add(1).min(LONGEST_PART)))
}

/// The largest part, in bytes. A browser requests the next part while it plays this one.
const LONGEST_PART: u64 = 1 << 20;

/// The largest recording, in bytes.
const LARGEST: u64 = 1 << 30;

const MOST_REQUESTS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The number of URLs to keep. Each new URL costs a request of the API's rate limit.
const MOST_URLS: usize = 16;
const LIFETIME: Duration = Duration::from_secs(5 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_from_a_start_is_limited_to_a_part_and_others_are_refused() {
        let of = |text: &str| range(&HeaderMap::from_iter([(RANGE, text.parse().unwrap())]));
        assert_eq!(of("bytes=0-"), Some((0, LONGEST_PART)));
        assert_eq!(of("bytes=5-5"), Some((5, 1)));
        assert_eq!(of("bytes=5-18446744073709551615"), Some((5, LONGEST_PART)));
        for wrong in [
            "",
            "bytes=",
            "bytes=-5",
            "bytes=6-5",
            "bytes=0-1,3-4",
            "items=0-1",
            "bytes=18446744073709551615-",
        ] {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(range(&HeaderMap::new()), None);
    }
}
