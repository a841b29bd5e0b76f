use std::fmt;

use serde::Serialize;

use super::{Analysis, Delivery, InvalidRequest, Model, at_least_one};
use crate::address::Address;

/// An identification to submit: who of the given voiceprints spoke when.
///
/// What is not set is not sent, so that the API's own defaults hold.
///
/// # Example
///
/// ```
/// use pyannoteai_client::{IdentifyRequest, InvalidRequest};
///
/// let voiceprints = [("Ann", "AAAA"), ("Bob", "BBBB")];
/// let request = IdentifyRequest::new("https://example.com/meeting.wav", voiceprints)?
///     .with_matching_threshold(50.0)?;
///
/// let none: [(&str, &str); 0] = [];
/// let refused = IdentifyRequest::new("https://example.com/meeting.wav", none).unwrap_err();
/// assert_eq!(refused.field(), "voiceprints");
/// # Ok::<(), InvalidRequest>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[must_use]
pub struct IdentifyRequest {
    url: Address,
    voiceprints: Vec<Reference>,
    #[serde(flatten)]
    pub(super) delivery: Delivery,
    #[serde(flatten)]
    analysis: Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<Matching>,
}

impl IdentifyRequest {
    /// Makes a request for an audio, by its URL or its [`MediaKey`](crate::MediaKey), and for 1 to 50 voiceprints, each
    /// with its label.
    ///
    /// The audio may have up to 1 GiB and last up to 24 h.
    ///
    /// # Errors
    ///
    /// The URL is neither `http`, `https` nor `media://` and a key; there is no voiceprint, or more than 50; or one is
    /// empty, or its label is empty, longer than 100 characters, given twice, or begins with `SPEAKER_`, in any case.
    pub fn new<L, V>(
        url: impl AsRef<str>,
        voiceprints: impl IntoIterator<Item = (L, V)>,
    ) -> Result<Self, InvalidRequest>
    where
        L: Into<String>,
        V: Into<String>,
    {
        let url = Address::of_audio(url.as_ref())?;
        // One more than allowed is enough to refuse.
        let voiceprints: Vec<Reference> = voiceprints
            .into_iter()
            .take(MOST_VOICEPRINTS + 1)
            .map(|(label, voiceprint)| Reference {
                label: label.into(),
                voiceprint: voiceprint.into(),
            })
            .collect();
        check(&voiceprints)?;
        Ok(Self {
            url,
            voiceprints,
            delivery: Delivery::default(),
            analysis: Analysis::default(),
            matching: None,
        })
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    pub fn with_model(mut self, model: Model) -> Self {
        self.analysis.model = Some(model);
        self
    }

    /// Sets whether a voiceprint matches one speaker at most. Default: the API's, which is yes.
    pub fn with_exclusive_matching(mut self, exclusive: bool) -> Self {
        self.matching.get_or_insert_default().exclusive = Some(exclusive);
        self
    }

    /// Sets the confidence, from 0 to 100, below which a voiceprint does not match. Default: the API's.
    ///
    /// # Errors
    ///
    /// The threshold is not from 0 to 100.
    pub fn with_matching_threshold(mut self, threshold: f64) -> Result<Self, InvalidRequest> {
        if !(0.0..=100.0).contains(&threshold) {
            return Err(InvalidRequest::new(
                "matching.threshold",
                "is not from 0 to 100",
            ));
        }
        self.matching.get_or_insert_default().threshold = Some(threshold);
        Ok(self)
    }

    delivery_setters!();
    analysis_setters!();
}

/// A voiceprint to look for; it is biometric data, so `Debug` shows its length only.
#[derive(Clone, PartialEq, Serialize)]
struct Reference {
    label: String,
    voiceprint: String,
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: [{} bytes]", self.label, self.voiceprint.len())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Matching {
    #[serde(skip_serializing_if = "Option::is_none")]
    exclusive: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
}

fn check(voiceprints: &[Reference]) -> Result<(), InvalidRequest> {
    if voiceprints.is_empty() {
        let reason = "is empty, give at least one";
        return Err(InvalidRequest::new("voiceprints", reason));
    }
    if voiceprints.len() > MOST_VOICEPRINTS {
        let reason = "has more than 50, submit several identifications";
        return Err(InvalidRequest::new("voiceprints", reason));
    }
    for (index, reference) in voiceprints.iter().enumerate() {
        let wrong = |part: &str, reason| {
            InvalidRequest::new(format!("voiceprints[{index}].{part}"), reason)
        };
        check_label(&reference.label).map_err(|reason| wrong("label", reason))?;
        let earlier = &voiceprints[..index];
        if earlier.iter().any(|other| other.label == reference.label) {
            return Err(wrong("label", "is given twice, give each its own"));
        }
        if reference.voiceprint.is_empty() {
            return Err(wrong(
                "voiceprint",
                "is empty, give a voiceprint job's output",
            ));
        }
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("is empty, give a name");
    }
    if label.chars().count() > LONGEST_LABEL {
        return Err("is longer than 100 characters, give a shorter one");
    }
    let prefix = label.get(..RESERVED_PREFIX.len()).unwrap_or_default();
    if prefix.eq_ignore_ascii_case(RESERVED_PREFIX) {
        return Err("begins with SPEAKER_, which is kept for speakers that no voiceprint matches");
    }
    Ok(())
}

const MOST_VOICEPRINTS: usize = 50;
const LONGEST_LABEL: usize = 100;
const RESERVED_PREFIX: &str = "SPEAKER_";
