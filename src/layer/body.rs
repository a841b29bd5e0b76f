use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;

/// The body that the inner service gets: the whole verified body, in memory.
///
/// The body shares its bytes with [`WebhookEvent::raw`](crate::WebhookEvent::raw).
#[derive(Clone, Debug, Default)]
pub struct VerifiedBody(Full<Bytes>);

impl VerifiedBody {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(Full::new(bytes))
    }
}

impl Body for VerifiedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
