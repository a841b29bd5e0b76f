use std::mem;
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::event::{Delivery, EnvelopeScan, EventError, webhook_event::WebhookEvent};
use crate::verifier::Verified;

/// Parses a body after its signature matched, one slice per poll.
///
/// The parser is built from a [`Verified`], which only a matching signature creates. Therefore no unsigned body is
/// parsed.
pub(super) struct Parse {
    bytes: Bytes,
    verified: Verified,
    /// Boxed, because only bodies of several slices need it.
    scan: Option<Box<EnvelopeScan>>,
}

impl Parse {
    pub(super) fn new(bytes: Bytes, verified: Verified) -> Self {
        Self {
            bytes,
            verified,
            scan: None,
        }
    }

    /// Scans all slices but the last, and lets other tasks run after each.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let scanned = self.scan.as_ref().map_or(0, |scan| scan.scanned());
        let end = scanned + PARSE_SLICE;
        if end >= self.bytes.len() {
            return Poll::Ready(());
        }
        let scan = self.scan.get_or_insert_default();
        scan.advance(&self.bytes[..end]);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Scans the last slice, and returns the event.
    pub(super) fn finish(&mut self, delivery: Delivery) -> Result<WebhookEvent, EventError> {
        let bytes = mem::take(&mut self.bytes);
        let delivery = delivery.with_timestamp(self.verified.timestamp());
        let scan = self.scan.take().map(|scan| *scan);
        WebhookEvent::scanned(bytes, delivery, scan)
    }
}

/// The number of bytes that are scanned before other tasks run. One slice takes 0.1 to 0.4 ms.
const PARSE_SLICE: usize = 256 << 10;
