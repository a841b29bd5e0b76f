use serde::Serialize;

use super::{Delivery, InvalidRequest, Model};
use crate::address::Address;

/// A voiceprint to make, of the one speaker of an audio.
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
    url: Address,
    #[serde(flatten)]
    pub(super) delivery: Delivery,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<Model>,
}

impl VoiceprintRequest {
    /// Makes a request for an audio, by its URL or its [`MediaKey`](crate::MediaKey).
    ///
    /// The audio may have up to 100 MiB and last up to 30 s.
    ///
    /// # Errors
    ///
    /// The URL is neither `http`, `https` nor `media://` and a key.
    pub fn new(url: impl AsRef<str>) -> Result<Self, InvalidRequest> {
        Ok(Self {
            url: Address::of_audio(url.as_ref())?,
            delivery: Delivery::default(),
            model: None,
        })
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    pub fn with_model(mut self, model: Model) -> Self {
        self.model = Some(model);
        self
    }

    delivery_setters!();
}
