use super::{heap::Heap, reader::Reader};

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

/// The value of a field that was read last: `None` for null, an error for a value of another shape.
pub(crate) type Field<T> = Result<Option<T>, OtherShape>;

/// A value has another shape than its field.
pub(crate) struct OtherShape;
