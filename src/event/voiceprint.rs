use std::fmt;

use serde::Serialize;

use super::Text;

/// The output of a voiceprint job.
///
/// A voiceprint is biometric data, so `Debug` shows only its length.
#[derive(Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Voiceprint {
    /// The voiceprint: opaque base64 text of up to 20,000 characters. Pass it to an identification unchanged.
    pub voiceprint: Text,
    /// The warning of pyannoteAI, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<Text>,
    /// The error of pyannoteAI, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
}

impl fmt::Debug for Voiceprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Voiceprint")
            .field(
                "voiceprint",
                &format_args!("[{} bytes]", self.voiceprint.len()),
            )
            .field("warning", &self.warning)
            .field("error", &self.error)
            .finish()
    }
}

read_object!(Voiceprint {
    "voiceprint" => voiceprint: Text = Text::default(),
    "warning" => warning: Text = None,
    "error" => error: Text = None,
});
