//! The limit on the heap that reading takes: four bytes for each byte of text read so far, and 64 KiB.

use super::reader::Reader;

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
}

impl<K> Reader<'_, K> {
    /// Takes heap, in bytes. Beyond the limit, the reader gives up.
    ///
    /// Call this before each allocation whose size depends on the text, or right after one that
    /// [`has_room`](Self::has_room) allowed.
    #[inline]
    pub(crate) fn take(&mut self, bytes: usize) -> Option<()> {
        self.has_room(bytes)?;
        self.heap.taken += bytes;
        Some(())
    }

    /// Checks the limit for heap that is freed before more is taken.
    #[inline]
    pub(crate) fn has_room(&mut self, bytes: usize) -> Option<()> {
        let most = self.at().saturating_mul(HEAP_PER_BYTE);
        if self.heap.taken.saturating_add(bytes) > most.saturating_add(self.heap.free) {
            self.give_up();
            return None;
        }
        Some(())
    }

    #[inline]
    pub(super) fn give_back(&mut self, bytes: usize) {
        self.heap.taken -= bytes;
    }

    /// Appends to a list.
    #[inline]
    pub(super) fn push<T>(&mut self, list: &mut Vec<T>, item: T) -> Option<()> {
        if list.len() == list.capacity() {
            self.grow(list)?;
        }
        list.push(item);
        Some(())
    }

    /// Makes room for half as many items again, not twice as many, because the largest lists decide the peak of memory.
    fn grow<T>(&mut self, list: &mut Vec<T>) -> Option<()> {
        let more = (list.len() / 2).max(LEAST_ROOM / size_of::<T>());
        self.take(more.saturating_mul(size_of::<T>()))?;
        list.reserve_exact(more);
        Some(())
    }

    /// Frees the spare room of a complete list.
    pub(super) fn fit<T>(&mut self, list: &mut Vec<T>) {
        self.give_back((list.capacity() - list.len()) * size_of::<T>());
        list.shrink_to_fit();
    }
}

/// The heap that a byte of text may take. A list of small objects takes up to 2 when it has just grown. A digit and its comma
/// take 3 as a number. Maps with long keys take a little more.
const HEAP_PER_BYTE: usize = 4;

/// Less than the documented 64 KiB, because small fixed allocations are not counted.
const FREE: usize = 60 << 10;

/// The least room of a list, in bytes.
const LEAST_ROOM: usize = 1 << 10;

/// What an allocation takes beside its bytes: two counts if it is shared, and the allocator's own.
pub(crate) const ALLOCATION: usize = 32;
