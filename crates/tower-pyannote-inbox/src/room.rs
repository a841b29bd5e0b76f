use tokio::sync::{Semaphore, SemaphorePermit};

use crate::store::SMALL;

/// The memory for the events that a worker handles, in bytes of their bodies: a body and its typed output together take at most
/// six times the body.
#[derive(Debug)]
pub(crate) struct Room {
    free: Semaphore,
    size: u32,
}

impl Room {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            free: Semaphore::new(usize::try_from(size).unwrap_or(Semaphore::MAX_PERMITS)),
            size,
        }
    }

    /// Waits until there is room for a body, in the order of the calls.
    ///
    /// A small body never waits. A body that is larger than the room takes all of it, so that it is handled alone.
    pub(crate) async fn take(&self, bytes: u64) -> Option<SemaphorePermit<'_>> {
        let counted = u32::try_from(bytes.saturating_sub(SMALL)).unwrap_or(self.size);
        match counted.min(self.size) {
            0 => None,
            // It fails only if the semaphore is closed, which it never is.
            counted => self.free.acquire_many(counted).await.ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::Future,
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;

    fn is_ready<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn bodies_wait_for_room_and_small_ones_do_not() {
        let room = Room::new(100);
        let first = is_ready(room.take(SMALL + 60)).unwrap();
        let second = is_ready(room.take(SMALL + 40)).unwrap();
        assert!(is_ready(room.take(SMALL + 1)).is_none());
        assert!(is_ready(room.take(SMALL)).is_some_and(|taken| taken.is_none()));
        drop(second);
        assert!(is_ready(room.take(SMALL + 41)).is_none());
        let third = is_ready(room.take(SMALL + 40)).unwrap();
        drop((first, third));
        assert_eq!(room.free.available_permits(), 100);
    }

    #[test]
    fn a_body_larger_than_the_room_is_handled_alone() {
        let room = Room::new(100);
        for bytes in [SMALL + 101, u64::MAX] {
            let first = is_ready(room.take(SMALL + 1)).unwrap();
            assert!(is_ready(room.take(bytes)).is_none());
            drop(first);
            let alone = is_ready(room.take(bytes)).unwrap();
            assert!(is_ready(room.take(SMALL + 1)).is_none());
            drop(alone);
        }
        assert_eq!(room.free.available_permits(), 100);
    }

    #[test]
    fn a_large_body_that_waits_is_not_passed_by_smaller_ones() {
        let room = Room::new(100);
        let _first = is_ready(room.take(SMALL + 50)).unwrap();
        let mut large = pin!(room.take(SMALL + 100));
        assert!(is_ready(large.as_mut()).is_none());
        assert!(is_ready(room.take(SMALL + 10)).is_none());
    }
}
