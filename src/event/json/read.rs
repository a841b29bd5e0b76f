use super::{
    heap::Heap,
    reader::{Field, Reader},
};

/// A type that can be read from JSON text whose maps have keys of type `K`.
pub(crate) trait Read<K>: Sized {
    /// Reads a value; returns `None` if it has another shape, or if the reader gave up.
    fn read(json: &mut Reader<'_, K>) -> Option<Self>;

    /// Reads an array of such values and leaves out the nulls in it.
    fn read_list(json: &mut Reader<'_, K>) -> Option<Vec<Self>> {
        let mut items = Vec::new();
        json.array(|json| {
            if !json.null() {
                let item = Self::read(json)?;
                json.push(&mut items, item)?;
            }
            Some(())
        })?;
        json.fit(&mut items);
        Some(items)
    }
}

impl<K, T: Read<K>> Read<K> for Vec<T> {
    fn read(json: &mut Reader<'_, K>) -> Option<Self> {
        T::read_list(json)
    }
}

impl<K> Reader<'_, K> {
    /// Reads the value of a field. Skips a value of another shape, because a later field of the same name may replace it.
    #[inline]
    pub(crate) fn field<T: Read<K>>(&mut self) -> Field<T> {
        self.field_with(T::read)
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

/// Reads a whole text. The value takes at most four bytes of heap for each byte of the text, and 64 KiB.
pub(crate) fn read<K, T: Read<K>>(json: &str) -> Result<T, Unread> {
    let mut reader = Reader::new(json, Heap::LIMITED);
    T::read(&mut reader).ok_or(if reader.has_given_up() {
        Unread::TooLarge
    } else {
        Unread::OtherShape
    })
}

/// Why a text was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The text has another shape.
    OtherShape,
    /// The value would take more heap than the limit.
    TooLarge,
}

/// The least room of a list, in bytes.
const LEAST_ROOM: usize = 1 << 10;
