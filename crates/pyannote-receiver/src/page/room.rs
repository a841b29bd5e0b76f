//! Bounds the memory of bodies that are read for pages and downloads.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, header::CONTENT_LENGTH};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};

/// The memory that all reads share. One of the largest bodies takes nearly all memory, so reads of large bodies wait for each
/// other.
pub(super) struct Room(Arc<Semaphore>);

/// Reserved memory. Dropping the value frees the memory.
pub(super) type Reserved = OwnedSemaphorePermit;

/// The error if other reads used the memory for too long.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Room {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(ALL)))
    }

    /// Reserves memory for a body of `bytes` bytes. Waits up to 30 s.
    ///
    /// # Errors
    ///
    /// Returns [`NoRoom`] if other reads use the memory for longer.
    pub(super) async fn reserve(&self, bytes: u64) -> Result<Reserved, NoRoom> {
        let units = usize::try_from(bytes / UNIT + 1).unwrap_or(ALL).min(ALL);
        let units = u32::try_from(units).map_err(|_| NoRoom)?;
        let reserved = Arc::clone(&self.0).acquire_many_owned(units);
        let reserved = time::timeout(PATIENCE, reserved).await;
        reserved.map_err(|_| NoRoom)?.map_err(|_| NoRoom)
    }
}

/// Returns a response that keeps the memory reserved until its last byte is sent.
pub(super) fn held(bytes: Bytes, reserved: Reserved) -> Response {
    let length = HeaderValue::from(bytes.len());
    let rest = stream::unfold((bytes, reserved), async |(mut rest, reserved)| {
        let next = rest.split_to(rest.len().min(CHUNK));
        // Copy each chunk, because a slice that waits in the connection would keep the whole body.
        let chunk = Bytes::copy_from_slice(&next);
        (!chunk.is_empty()).then_some((Ok::<_, Infallible>(chunk), (rest, reserved)))
    });
    let mut response = Body::from_stream(rest).into_response();
    response.headers_mut().insert(CONTENT_LENGTH, length);
    response
}

/// Keeps the beginnings of the bodies that were shown last, because the open page of an event reloads every few seconds.
#[derive(Default)]
pub(super) struct Beginnings(Mutex<Vec<Beginning>>);

/// The digest of a body, and the part of it that a page shows.
type Beginning = ([u8; 32], Arc<str>);

impl Beginnings {
    pub(super) fn get(&self, sha256: [u8; 32]) -> Option<Arc<str>> {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, text) = held.iter().find(|(known, _)| *known == sha256)?;
        Some(Arc::clone(text))
    }

    pub(super) fn keep(&self, sha256: [u8; 32], text: &Arc<str>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() == MOST_BEGINNINGS {
            held.remove(0);
        }
        held.push((sha256, Arc::clone(text)));
    }
}

const MOST_BEGINNINGS: usize = 32;

/// 128 MiB in units of 64 KiB.
const ALL: usize = 2_048;
const UNIT: u64 = 64 << 10;

const CHUNK: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_are_read_one_after_the_other() {
        let room = Room::new();
        let large = room.reserve(u64::MAX).await.unwrap();
        assert!(room.reserve(0).await.is_err());
        drop(large);
        let first = room.reserve(100 << 20).await.unwrap();
        let small = room.reserve(1 << 20).await.unwrap();
        assert!(room.reserve(100 << 20).await.is_err());
        drop((first, small));
        assert!(room.reserve(100 << 20).await.is_ok());
    }

    #[tokio::test]
    async fn memory_is_held_until_the_last_byte_is_read() {
        let room = Room::new();
        let reserved = room.reserve(u64::MAX).await.unwrap();
        let response = held(Bytes::from(vec![7; 200_001]), reserved);
        assert_eq!(response.headers()[CONTENT_LENGTH], "200001");
        assert_eq!(room.0.available_permits(), 0);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        assert_eq!(body.unwrap(), vec![7; 200_001]);
        assert_eq!(room.0.available_permits(), ALL);
    }
}
