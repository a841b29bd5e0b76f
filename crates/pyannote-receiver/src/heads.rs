//! Refuses request heads that a proxy and hyper could read in different ways.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use hyper::{
    Request, Version,
    body::{Body, Incoming},
    header::{HOST, TRANSFER_ENCODING},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Returns why a request is refused with 400.
pub(crate) fn violation<B>(request: &Request<B>) -> Option<&'static str> {
    let hosts = request.headers().get_all(HOST).iter().count();
    match (request.version(), hosts) {
        (Version::HTTP_11, 0) => return Some("no host header"),
        (_, 0 | 1) => {}
        _ => return Some("more than one host header"),
    }
    let mut codings = request.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => None,
        _ => Some("a transfer coding besides chunked, or more than one"),
    }
}

/// What the bytes of a connection are: heads, which are watched, and bodies.
#[derive(Clone)]
pub(crate) struct Framing(Arc<Mutex<Part>>);

enum Part {
    /// A head, with its last byte so far, and the length of its last line so far.
    Head {
        last: u8,
        line: usize,
        is_first: bool,
    },
    /// A body of known length, with its number of unread bytes.
    Body(u64),
    /// All further bytes. The connection closes after the response.
    Rest,
}

impl Framing {
    /// Records a request whose head is complete. Returns whether the connection has to close after the response, because
    /// the end of a chunked body is not known here.
    pub(crate) fn begin(&self, request: &Request<Incoming>) -> bool {
        let length = match request.headers().contains_key(TRANSFER_ENCODING) {
            true => None,
            false => request.body().size_hint().exact(),
        };
        *self.part() = match length {
            Some(0) => Part::head(),
            Some(length) => Part::Body(length),
            None => Part::Rest,
        };
        length.is_none()
    }

    fn part(&self) -> MutexGuard<'_, Part> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    const fn head() -> Self {
        Self::Head {
            last: 0,
            line: 0,
            is_first: true,
        }
    }

    /// Reads the bytes of a head up to its end, and returns their number. A line feed without a carriage return becomes a
    /// NUL, which hyper refuses with 400.
    fn scan(&mut self, bytes: &mut [u8]) -> usize {
        let Self::Head {
            last,
            line,
            is_first,
        } = self
        else {
            return bytes.len();
        };
        for (index, byte) in bytes.iter_mut().enumerate() {
            match (*byte, *last) {
                (b'\n', b'\r') => {
                    // Empty lines before a head are ignored.
                    if *line == 1 && !*is_first {
                        *self = Self::Rest;
                        return index + 1;
                    }
                    *is_first &= *line == 1;
                    *line = 0;
                }
                (b'\n', _) => {
                    *byte = 0;
                    *self = Self::Rest;
                    return bytes.len();
                }
                _ => *line += 1,
            }
            *last = *byte;
        }
        bytes.len()
    }
}

/// A stream whose heads are watched.
pub(crate) struct Watched<S> {
    stream: S,
    framing: Framing,
    /// Bytes that were read together with a head.
    ahead: Vec<u8>,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S) -> (Self, Framing) {
        let framing = Framing(Arc::new(Mutex::new(Part::head())));
        let watched = Self {
            stream,
            framing: framing.clone(),
            ahead: Vec::new(),
        };
        (watched, framing)
    }

    pub(crate) fn into_inner(self) -> S {
        self.stream
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let begin = buf.filled().len();
        let room = buf.remaining();
        let most = match *this.framing.part() {
            Part::Body(left) => usize::try_from(left).unwrap_or(usize::MAX).min(room),
            Part::Head { .. } | Part::Rest => room,
        };
        if !this.ahead.is_empty() {
            let count = most.min(this.ahead.len());
            buf.put_slice(&this.ahead[..count]);
            this.ahead.drain(..count);
        } else if most == room {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            // Not beyond the end of the body.
            let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
            let count = part.filled().len();
            buf.advance(count);
        }
        let mut part = this.framing.part();
        let read = &mut buf.filled_mut()[begin..];
        match &mut *part {
            Part::Head { .. } => {
                let used = part.scan(read);
                if used < read.len() {
                    this.ahead.splice(..0, read[used..].iter().copied());
                    buf.set_filled(begin + used);
                }
            }
            Part::Body(left) => {
                *left -= u64::try_from(read.len()).unwrap_or(*left).min(*left);
                if *left == 0 {
                    *part = Part::head();
                }
            }
            Part::Rest => {}
        }
        if this.ahead.is_empty() {
            this.ahead = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::Part;

    /// Scans a head that arrives in pieces of one size. Returns the bytes of the head.
    fn scan(bytes: &str, size: usize) -> Vec<u8> {
        let mut part = Part::head();
        let mut head = Vec::new();
        for piece in bytes.as_bytes().chunks(size) {
            let mut piece = piece.to_vec();
            let used = part.scan(&mut piece);
            head.extend_from_slice(&piece[..used]);
            if used < piece.len() || matches!(part, Part::Rest) {
                break;
            }
        }
        head
    }

    #[test]
    fn head_ends_at_its_first_empty_line() {
        let head = "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n";
        for size in 1..head.len() {
            let scanned = scan(&format!("{head}body\nof any kind"), size);
            assert_eq!(scanned, head.as_bytes(), "{size}");
        }
    }

    #[test]
    fn bare_line_feed_becomes_a_nul() {
        for head in [
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ] {
            for size in 1..head.len() {
                assert!(scan(head, size).contains(&0), "{head:?} {size}");
            }
        }
    }
}
