use bytes::{Buf, Bytes};

use super::budget::FREE;

/// The bytes of a body received so far. Its capacity never exceeds `limit`.
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
    /// The first frame, not copied.
    Frame(Bytes),
    Joined(Vec<u8>),
}

impl Held {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Frame(frame) => frame,
            Self::Joined(joined) => joined,
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

    /// Returns the capacity to reserve before `more` bytes are pushed. `trusted` says whether to reserve the announced length.
    pub(super) fn size_with(&self, more: usize, trusted: bool) -> usize {
        match &self.held {
            Held::Nothing => more,
            Held::Joined(joined) if joined.capacity() - joined.len() >= more => joined.capacity(),
            held => {
                let len = held.as_slice().len();
                capacity(len, more, self.announced, trusted)
                    .min(self.limit)
                    .max(len + more)
            }
        }
    }

    /// Appends a frame. `size` is the capacity that [`size_with`](Self::size_with) returned for it.
    pub(super) fn push(&mut self, mut data: impl Buf, size: usize) {
        let joined = match &mut self.held {
            Held::Nothing => {
                self.held = Held::Frame(data.copy_to_bytes(data.remaining()));
                return;
            }
            Held::Joined(joined) => joined,
            Held::Frame(first) => {
                let first = std::mem::take(first);
                let mut joined = Vec::with_capacity(size);
                joined.extend_from_slice(&first);
                self.held = Held::Joined(joined);
                return self.push(data, size);
            }
        };
        joined.reserve_exact(size - joined.len());
        while data.has_remaining() {
            let chunk = data.chunk();
            joined.extend_from_slice(chunk);
            let length = chunk.len();
            data.advance(length);
        }
    }

    pub(super) fn into_bytes(self) -> Bytes {
        match self.held {
            Held::Nothing => Bytes::new(),
            // Copy a small frame, because it is a slice of the connection's much larger read buffer and would keep that
            // buffer in memory.
            Held::Frame(frame) if frame.len() <= COPIED => Bytes::copy_from_slice(&frame),
            Held::Frame(frame) => frame,
            Held::Joined(joined) => joined.into(),
        }
    }
}

/// Returns the capacity for `len` bytes and `more`: the announced length if it is trusted, else at most twice the bytes
/// received, because a sender can announce any length at no cost.
fn capacity(len: usize, more: usize, announced: Option<usize>, trusted: bool) -> usize {
    let received = len + more;
    let most = if trusted {
        usize::MAX
    } else {
        received.saturating_mul(2).max(FREE)
    };
    match announced {
        Some(announced) if announced >= received => announced.min(most),
        _ => received.max(len.saturating_mul(2)),
    }
}

/// The maximum length of a single frame that is copied.
const COPIED: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Pushes a frame of a body whose announced length is not trusted. Returns the capacity that was asked for.
    fn push(buffer: &mut Buffer, data: impl Buf) -> usize {
        let size = buffer.size_with(data.remaining(), false);
        buffer.push(data, size);
        size
    }

    #[test]
    fn single_frame_is_not_copied() {
        let frame = Bytes::from(vec![7; COPIED + 1]);
        let mut buffer = Buffer::new(None, usize::MAX);
        push(&mut buffer, frame.clone());
        assert_eq!(buffer.into_bytes().as_ptr(), frame.as_ptr());
    }

    #[test]
    fn small_frame_does_not_keep_the_read_buffer_alive() {
        let read_buffer = Bytes::from(vec![7; 400 << 10]);
        let mut buffer = Buffer::new(None, usize::MAX);
        push(&mut buffer, read_buffer.slice(..100));
        let kept = buffer.into_bytes();
        assert_eq!(kept, read_buffer.slice(..100));
        assert_ne!(kept.as_ptr(), read_buffer.as_ptr());
    }

    #[test]
    fn frames_are_joined_in_order() {
        let mut buffer = Buffer::new(Some(9), usize::MAX);
        for frame in [&b"abc"[..], b"", b"defg", b"hi"] {
            push(&mut buffer, frame);
        }
        assert_eq!(buffer.into_bytes(), &b"abcdefghi"[..]);
    }

    #[test]
    fn capacity_is_as_asked_for_and_within_the_limit() {
        for announced in [None, Some(900), Some(1 << 30)] {
            let mut buffer = Buffer::new(announced, 100_000);
            while buffer.len() < 100_000 {
                let asked = push(&mut buffer, &[7; 500][..]);
                let size = match &buffer.held {
                    Held::Joined(joined) => joined.capacity(),
                    held => held.as_slice().len(),
                };
                assert_eq!(size, asked);
                assert!(asked <= 100_000);
            }
        }
    }

    #[test]
    fn trusted_announced_length_is_reserved_at_once() {
        assert_eq!(capacity(10, 10, Some(1 << 30), true), 1 << 30);
        assert_eq!(capacity(100, 100, Some(50), true), 200);
        assert_eq!(capacity(1000, 10, None, true), 2000);
    }

    #[test]
    fn untrusted_announced_length_is_reserved_up_to_twice_the_bytes_received() {
        let table = [
            ("small announced length: at once", 10, 10, Some(1000), 1000),
            (
                "huge announced length: the free bytes",
                10,
                10,
                Some(1 << 30),
                FREE,
            ),
            (
                "much received: twice that",
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
            ("more received than announced", 100, 100, Some(50), 200),
            ("nothing announced: doubled", 1000, 10, None, 2000),
            ("nothing announced: a large frame", 10, 1000, None, 1010),
        ];
        for (name, len, more, announced, expected) in table {
            assert_eq!(capacity(len, more, announced, false), expected, "{name}");
        }
    }
}
