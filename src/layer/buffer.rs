use bytes::{Buf, Bytes};

/// A body as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    announced: Option<usize>,
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

impl Buffer {
    pub(super) fn new(announced: Option<usize>) -> Self {
        Self {
            announced,
            held: Held::Nothing,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match &self.held {
            Held::Nothing => &[],
            Held::Piece(piece) => piece,
            Held::Pieces(pieces) => pieces,
        }
    }

    pub(super) fn push(&mut self, mut data: impl Buf) {
        let more = data.remaining();
        let pieces = match &mut self.held {
            Held::Nothing => {
                self.held = Held::Piece(data.copy_to_bytes(more));
                return;
            }
            Held::Pieces(pieces) => pieces,
            Held::Piece(first) => {
                let first = std::mem::take(first);
                let mut pieces = Vec::with_capacity(capacity(first.len(), more, self.announced));
                pieces.extend_from_slice(&first);
                self.held = Held::Pieces(pieces);
                return self.push(data);
            }
        };
        if pieces.capacity() - pieces.len() < more {
            pieces.reserve_exact(capacity(pieces.len(), more, self.announced) - pieces.len());
        }
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

/// How much to reserve for `len` bytes and `more`: what was announced, but never over four times what has come, as
/// announcing is free.
fn capacity(len: usize, more: usize, announced: Option<usize>) -> usize {
    let come = len + more;
    let within_reason = come.saturating_mul(4).max(RESERVED_ON_TRUST);
    match announced {
        Some(announced) if announced >= come => announced.min(within_reason),
        _ => come.max(len.saturating_mul(2)),
    }
}

const COPIED: usize = 4 << 10;
const RESERVED_ON_TRUST: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_piece_is_not_copied() {
        let piece = Bytes::from(vec![7; COPIED + 1]);
        let mut buffer = Buffer::new(None);
        buffer.push(piece.clone());
        assert_eq!(buffer.into_bytes().as_ptr(), piece.as_ptr());
    }

    #[test]
    fn a_small_piece_does_not_keep_the_buffer_it_came_in() {
        let read_buffer = Bytes::from(vec![7; 400 << 10]);
        let mut buffer = Buffer::new(None);
        buffer.push(read_buffer.slice(..100));
        let kept = buffer.into_bytes();
        assert_eq!(kept, read_buffer.slice(..100));
        assert_ne!(kept.as_ptr(), read_buffer.as_ptr());
    }

    #[test]
    fn pieces_are_joined_in_order() {
        let mut buffer = Buffer::new(Some(9));
        for piece in [&b"abc"[..], b"", b"defg", b"hi"] {
            buffer.push(piece);
        }
        assert_eq!(buffer.into_bytes(), &b"abcdefghi"[..]);
    }

    #[test]
    fn what_was_announced_is_reserved_within_reason() {
        let table = [
            ("small and announced: at once", 10, 10, Some(1000), 1000),
            (
                "huge and announced: on trust",
                10,
                10,
                Some(1 << 30),
                RESERVED_ON_TRUST,
            ),
            (
                "much has come: four times that",
                1 << 20,
                1 << 20,
                Some(1 << 30),
                8 << 20,
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
            assert_eq!(capacity(len, more, announced), expected, "{name}");
        }
    }
}
