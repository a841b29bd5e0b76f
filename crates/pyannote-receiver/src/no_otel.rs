//! Replaces the module `otel` if the feature `otel` is off.

use pyannote_cli::{BoxedLayer, Failure};
use tokio::runtime::Handle;
use tower_pyannote_inbox::InboxBuilder;

#[derive(Default)]
pub(crate) struct Traces(());

impl Traces {
    pub(crate) fn check(endpoint: Option<&str>) -> Result<(), Failure> {
        match endpoint {
            None => Ok(()),
            Some(_) => Err(Failure::usage(
                "--otlp-endpoint: this build sends no traces: build pyannote-receiver with the feature otel",
            )),
        }
    }

    pub(crate) fn start(endpoint: Option<&str>, _: &Handle) -> Result<Self, Failure> {
        Self::check(endpoint).map(Self)
    }

    pub(crate) fn layer(&self) -> Option<BoxedLayer> {
        None
    }

    pub(crate) fn propagate(&self, builder: InboxBuilder) -> InboxBuilder {
        builder
    }

    pub(crate) fn flush(self) {}
}
