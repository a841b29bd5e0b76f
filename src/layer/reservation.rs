use bytes::Buf;
use tokio::sync::OwnedSemaphorePermit;

use super::budget::{Acquire, ByteBudget, FREE};
use super::buffer::Buffer;
use super::telemetry::InFlight;

/// One body's share of the byte budget and of the bytes in flight. Dropping it gives both back.
#[derive(Debug, Default)]
pub(super) struct Reservation {
    permit: Option<OwnedSemaphorePermit>,
    in_flight: InFlight,
}

impl Reservation {
    /// Reserves `size` bytes in total at once, if three quarters of the budget stay free. Returns whether the bytes are
    /// reserved.
    pub(super) fn try_grow_with_ample_room(&mut self, size: usize, budget: &ByteBudget) -> bool {
        let Some(missing) = self.missing(size) else {
            return true;
        };
        let permit = budget.try_acquire_with_ample_room(missing);
        let acquired = permit.is_some();
        self.add(permit);
        acquired
    }

    /// Reserves `size` bytes in total. Returns a future to wait for if the budget does not have them.
    pub(super) fn grow(&mut self, size: usize, budget: &ByteBudget) -> Option<Acquire> {
        let missing = self.missing(size)?;
        match budget.acquire(missing) {
            Ok(permit) => {
                self.add(Some(permit));
                None
            }
            Err(acquire) => Some(acquire),
        }
    }

    /// Adds acquired bytes of the budget.
    pub(super) fn add(&mut self, permit: Option<OwnedSemaphorePermit>) {
        match (&mut self.permit, permit) {
            (Some(held), Some(permit)) => held.merge(permit),
            (held @ None, permit) => *held = permit,
            (Some(_), None) => {}
        }
    }

    /// Moves a frame into the buffer. The buffer then takes `size` bytes of memory, which are already reserved.
    pub(super) fn push(&mut self, data: impl Buf, size: usize, buffer: &mut Buffer) {
        self.in_flight.add(data.remaining());
        buffer.push(data, size);
    }

    /// Returns how many more bytes of the budget a body of `size` bytes needs, or `None` if it needs no more.
    fn missing(&self, size: usize) -> Option<u32> {
        let held = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = size.saturating_sub(FREE).saturating_sub(held);
        // The budget is below 4 GiB, and a body is within it.
        (missing > 0).then(|| u32::try_from(missing).unwrap_or(u32::MAX))
    }
}
