use serde::Serialize;

use super::{Common, Model, check_metadata, check_precision, check_reference};
use crate::address::Address;
use crate::invalid_request::InvalidRequest;

/// A request for a voiceprint of the only speaker of an audio.
///
/// # Example
///
/// ```
/// use pyannoteai_client::{MediaKey, VoiceprintRequest};
///
/// let request = VoiceprintRequest::new(MediaKey::new("voices/ann.wav")?)?
///     .with_webhook("https://example.com/webhook")?;
/// # Ok::<(), pyannoteai_client::InvalidRequest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[must_use]
pub struct VoiceprintRequest {
    pub(super) url: Address,
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
}

impl VoiceprintRequest {
    /// Makes a request for an audio of at most 100 MiB and 30 s, by its URL or its [`MediaKey`](crate::MediaKey).
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the URL is not `http`, `https`, or `media://` and a key.
    pub fn new(url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        Ok(Self {
            url: Address::audio(url.as_ref())?,
            common: Common::default(),
            model: None,
        })
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the model is not [`Model::Precision2`], the only one that makes voiceprints.
    pub fn with_model(mut self, model: Model) -> Result<Self, InvalidRequest> {
        self.model = Some(check_precision(model)?);
        Ok(self)
    }

    common_setters!();
}
