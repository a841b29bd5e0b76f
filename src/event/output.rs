use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use super::{
    Diarization, Identification, Label, Voiceprint,
    json::{self, Read, Unread},
};

/// The kind of an event's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// Who spoke when.
    Diarization,
    /// Who of the given voiceprints spoke when.
    Identification,
    /// A voiceprint.
    Voiceprint,
    /// A kind that this crate does not know.
    Unknown,
}

impl Kind {
    /// Returns the kind in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Diarization => "diarization",
            Self::Identification => "identification",
            Self::Voiceprint => "voiceprint",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The output of a job, by kind.
///
/// ```
/// # use std::time::SystemTime;
/// use tower_pyannote::{Output, WebhookEvent, event::Delivery};
///
/// let body = r#"{"jobId": "a", "status": "succeeded", "output": {
///     "diarization": [{"speaker": "SPEAKER_00", "start": 0.5, "end": 2.0}]}}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
///
/// match event.output() {
///     Some(Output::Diarization(output)) => assert_eq!(output.diarization.talk_time(), 1.5),
///     Some(Output::Unknown(output)) => panic!("what is {}?", output.json()),
///     _ => panic!("no diarization"),
/// }
/// # Ok::<(), tower_pyannote::event::EventError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Output {
    /// Who spoke when.
    Diarization(Diarization),
    /// Who of the given voiceprints spoke when.
    Identification(Identification),
    /// A voiceprint.
    Voiceprint(Voiceprint),
    /// An output that was not typed, as raw JSON, with the [reason](UnknownOutput::reason).
    Unknown(UnknownOutput),
}

impl Output {
    /// Types the JSON text of an output as `kind`; if that fails, the output is unknown.
    pub(super) fn read(kind: Kind, raw: Bytes) -> Self {
        let reason = match typed(kind, &raw) {
            Ok(output) => return output,
            Err(reason) => reason,
        };
        Self::Unknown(UnknownOutput { raw, reason })
    }

    /// Returns the kind of the output.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Diarization(_) => Kind::Diarization,
            Self::Identification(_) => Kind::Identification,
            Self::Voiceprint(_) => Kind::Voiceprint,
            Self::Unknown(_) => Kind::Unknown,
        }
    }

    /// Returns the output if it is a diarization.
    #[must_use]
    pub const fn as_diarization(&self) -> Option<&Diarization> {
        match self {
            Self::Diarization(output) => Some(output),
            _ => None,
        }
    }

    /// Returns the output if it is an identification.
    #[must_use]
    pub const fn as_identification(&self) -> Option<&Identification> {
        match self {
            Self::Identification(output) => Some(output),
            _ => None,
        }
    }

    /// Returns the output if it is a voiceprint.
    #[must_use]
    pub const fn as_voiceprint(&self) -> Option<&Voiceprint> {
        match self {
            Self::Voiceprint(output) => Some(output),
            _ => None,
        }
    }

    /// Returns the output if it was not typed.
    #[must_use]
    pub const fn as_unknown(&self) -> Option<&UnknownOutput> {
        match self {
            Self::Unknown(output) => Some(output),
            _ => None,
        }
    }
}

/// An output that was not typed, as the JSON text that was received.
///
/// `Debug` shows only its length, because the content is not known.
#[derive(Clone, PartialEq, Eq)]
pub struct UnknownOutput {
    raw: Bytes,
    reason: UnknownReason,
}

impl UnknownOutput {
    /// Returns why the output was not typed.
    #[must_use]
    pub const fn reason(&self) -> UnknownReason {
        self.reason
    }

    /// Borrows the JSON text of the output, unchanged from the body.
    #[must_use]
    pub fn json(&self) -> &str {
        text(&self.raw)
    }

    /// Parses the output as a type of your own.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the output has another shape.
    pub fn parse<'de, T: Deserialize<'de>>(&'de self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.json())
    }
}

impl fmt::Debug for UnknownOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnknownOutput([{} bytes])", self.raw.len())
    }
}

/// Why an output was not typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnknownReason {
    /// Its keys belong to no kind that this crate knows.
    Kind,
    /// A value has another shape than the kind of the output allows.
    Shape,
    /// The typed output would take more than four bytes of memory for each byte of its text, and 64 KiB.
    ///
    /// No output of pyannoteAI does. 60 MiB of empty turns would take over a gigabyte.
    TooLarge,
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kind => "its keys belong to no known kind",
            Self::Shape => "a value has another shape than its kind allows",
            Self::TooLarge => "the typed output would take too much memory for its length",
        })
    }
}

fn typed(kind: Kind, raw: &[u8]) -> Result<Output, UnknownReason> {
    match kind {
        Kind::Diarization => read(raw).map(Output::Diarization),
        Kind::Identification => read(raw).map(Output::Identification),
        Kind::Voiceprint => read(raw).map(Output::Voiceprint),
        Kind::Unknown => Err(UnknownReason::Kind),
    }
}

fn read<T: Read<Label>>(raw: &[u8]) -> Result<T, UnknownReason> {
    json::read(text(raw)).map_err(|unread| match unread {
        Unread::OtherShape => UnknownReason::Shape,
        Unread::TooLarge => UnknownReason::TooLarge,
    })
}

fn text(raw: &[u8]) -> &str {
    // The output is part of a body that was checked to be UTF-8.
    std::str::from_utf8(raw).unwrap_or_default()
}
