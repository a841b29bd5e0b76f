use bytes::{Buf, Bytes};

use super::budget::FREE;

/// A body as far as it has come.
///
/// It never reserves more than `limit`.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    announced: Option<usize>,
    limit: usize,
    held: Held,
}

#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    /// The first piece, not copied.
    Piece(Bytes),
    Pieces(Vec<u8>),
}

impl Held {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Piece(piece) => piece,
            Self::Pieces(pieces) => pieces,
        }
    }
}

impl Buffer {
    pub(super) fn new(announced: Option<usize>, limit: usize) -> Self {
        Self {
            announced,
            limit,
            held: Held::Nothing,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.held.as_slice()
    }

    /// How much memory it is to take once it holds `more` bytes, if what was announced is trusted or not.
    pub(super) fn size_with(&self, more: usize, trusted: bool) -> usize {
        match &self.held {
            Held::Nothing => more,
            Held::Pieces(pieces) if pieces.capacity() - pieces.len() >= more => pieces.capacity(),
            held => {
                let (len, come) = (held.as_slice().len(), held.as_slice().len() + more);
                capacity(len, more, self.announced, trusted)
                    .min(self.limit)
                    .max(come)
            }
        }
    }

    /// Adds a piece, and takes `size` bytes of memory, which is what [`size_with`](Self::size_with) told of it.
    pub(super) fn push(&mut self, mut data: impl Buf, size: usize) {
        let pieces = match &mut self.held {
            Held::Nothing => {
                self.held = Held::Piece(data.copy_to_bytes(data.remaining()));
                return;
            }
            Held::Pieces(pieces) => pieces,
            Held::Piece(first) => {
                let first = std::mem::take(first);
                let mut pieces = Vec::with_capacity(size);
                pieces.extend_from_slice(&first);
                self.held = Held::Pieces(pieces);
                return self.push(data, size);
            }
        };
        pieces.reserve_exact(size - pieces.len());
        while data.has_remaining() {
            let chunk = data.chunk();
            pieces.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self.held {
            Held::Nothing => Bytes::new(),
            // A small piece is a slice of the connection's far larger read buffer, and would keep all of that alive.
            Held::Piece(piece) if piece.len() <= COPIED => Bytes::copy_from_slice(&piece),
            Held::Piece(piece) => piece,
            Held::Pieces(pieces) => pieces.into(),
        }
    }
}

/// How much to reserve for `len` bytes and `more`: what was announced, but unless that is trusted never over twice what
/// has come, as announcing is free.
fn capacity(len: usize, more: usize, announced: Option<usize>, trusted: bool) -> usize {
    let come = len + more;
    let within_reason = if trusted {
        usize::MAX
    } else {
        come.saturating_mul(2).max(FREE)
    };
    match announced {
        Some(announced) if announced >= come => announced.min(within_reason),
        _ => come.max(len.saturating_mul(2)),
    }
}

const COPIED: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes a piece of a body whose announcement is not trusted; returns the size that was told.
    fn push(buffer: &mut Buffer, data: impl Buf) -> usize {
        let size = buffer.size_with(data.remaining(), false);
        buffer.push(data, size);
        size
    }

    #[test]
    fn a_single_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; COPIED + 1]);
        let mut buffer = Buffer::new(None, usize::MAX);
        push(&mut buffer, piece.clone());
        assert_eq!(buffer.into_bytes().as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_small_piece_does_not_keep_the_buffer_it_came_in() {
        let read_buffer = Bytes::from(vec![7; 400 << 10]);
        let mut buffer = Buffer::new(None, usize::MAX);
        push(&mut buffer, read_buffer.slice(..100));
        let kept = buffer.into_bytes();
        assert_eq!(kept, read_buffer.slice(..100));
        assert_ne!(kept.as_ptr(), read_buffer.as_ptr());
    }

    #[test]
    fn pieces_are_joined_in_order() {
        let mut buffer = Buffer::new(Some(9), usize::MAX);
        for piece in [&b"abc"[..], b"", b"defg", b"hi"] {
            push(&mut buffer, piece);
        }
        assert_eq!(buffer.into_bytes(), &b"abcdefghi"[..]);
    }

    #[test]
    fn what_is_reserved_is_told_before_and_within_the_limit() {
        for announced in [None, Some(900), Some(1 << 30)] {
            let mut buffer = Buffer::new(announced, 100_000);
            while buffer.len() < 100_000 {
                let told = push(&mut buffer, &[7; 500][..]);
                let size = match &buffer.held {
                    Held::Pieces(pieces) => pieces.capacity(),
                    held => held.as_slice().len(),
                };
                assert_eq!(size, told);
                assert!(told <= 100_000);
            }
        }
    }

    #[test]
    fn what_was_announced_is_reserved_at_once_if_it_is_trusted() {
        assert_eq!(capacity(10, 10, Some(1 << 30), true), 1 << 30);
        assert_eq!(capacity(100, 100, Some(50), true), 200);
        assert_eq!(capacity(1000, 10, None, true), 2000);
    }

    #[test]
    fn what_was_announced_is_reserved_within_reason() {
        let table = [
            ("small and announced: at once", 10, 10, Some(1000), 1000),
            ("huge and announced: on trust", 10, 10, Some(1 << 30), FREE),
            (
                "much has come: twice that",
                1 << 20,
                1 << 20,
                Some(1 << 30),
                4 << 20,
            ),
            (
                "never more than announced",
                1 << 20,
                1 << 20,
                Some(3 << 20),
                3 << 20,
            ),
            ("more has come than announced", 100, 100, Some(50), 200),
            ("nothing announced: twice as much", 1000, 10, None, 2000),
            ("nothing announced: a large piece", 10, 1000, None, 1010),
        ];
        for (name, len, more, announced, expected) in table {
            assert_eq!(capacity(len, more, announced, false), expected, "{name}");
        }
    }
}
