//! A NATS server with JetStream, and its stream.

use std::ops::{Deref, DerefMut};

use tower_pyannote_forward::async_nats::{
    self,
    jetstream::{self, Context, stream::Stream},
};
use tower_pyannote_test_support::nats::Nats;

pub(crate) struct Server(Nats);

impl Server {
    /// Starts a server with more lines in its configuration. Where `nats-server` is not installed, fails in CI and returns
    /// `None` elsewhere.
    pub(crate) fn start(settings: &str) -> Option<Self> {
        Nats::start(settings).map(Self)
    }

    pub(crate) async fn context(&self) -> Context {
        jetstream::new(async_nats::connect(self.url()).await.unwrap())
    }

    pub(crate) async fn stream(&self) -> Stream {
        self.context().await.get_stream(STREAM).await.unwrap()
    }

    /// Returns the number of messages in the stream.
    pub(crate) async fn count(&self) -> u64 {
        self.stream().await.cached_info().state.messages
    }
}

impl Deref for Server {
    type Target = Nats;

    fn deref(&self) -> &Nats {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Nats {
        &mut self.0
    }
}

pub(crate) const STREAM: &str = "PYANNOTE";
pub(crate) const BUCKET: &str = "PYANNOTE-bodies";
