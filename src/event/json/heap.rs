//! The limit on the heap that reading takes: four bytes for each byte of text read so far, and 64 KiB.

/// The heap that a text's values have taken, in bytes.
pub(super) struct Heap {
    pub(super) taken: usize,
    /// The heap that any text may take, however short.
    free: usize,
}

impl Heap {
    pub(super) const LIMITED: Self = Self {
        taken: 0,
        free: FREE,
    };

    pub(super) const UNLIMITED: Self = Self {
        taken: 0,
        free: usize::MAX,
    };

    /// Returns whether `bytes` more fit the limit after `read` bytes of text.
    #[inline]
    pub(super) fn has_room(&self, read: usize, bytes: usize) -> bool {
        let most = read.saturating_mul(HEAP_PER_BYTE);
        self.taken.saturating_add(bytes) <= most.saturating_add(self.free)
    }
}

/// The heap that a byte of text may take. A list of small objects takes up to 2 when it has just grown. A digit and its comma
/// take 3 as a number. Maps with long keys take a little more.
const HEAP_PER_BYTE: usize = 4;

/// Less than the documented 64 KiB, because small fixed allocations are not counted.
const FREE: usize = 60 << 10;

/// What an allocation takes beside its bytes: two counts if it is shared, and the allocator's own.
pub(crate) const ALLOCATION: usize = 32;
