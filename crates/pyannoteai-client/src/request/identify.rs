use std::fmt;

use serde::Serialize;

use super::{
    Analysis, Common, Model, at_least_one, check_metadata, check_precision, check_reference,
};
use crate::address::Address;
use crate::invalid_request::InvalidRequest;

/// A request for an identification: which of the given voiceprints spoke when.
///
/// Options that are not set are not sent, so that the API's defaults apply.
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
    pub(super) url: Address,
    voiceprints: Vec<LabeledVoiceprint>,
    #[serde(flatten)]
    pub(super) common: Common,
    #[serde(flatten)]
    analysis: Analysis,
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<Matching>,
}

impl IdentifyRequest {
    /// Makes a request for an audio of at most 1 GiB and 24 h, by its URL or its [`MediaKey`](crate::MediaKey).
    ///
    /// The request has 1 to 50 pairs of a label and a voiceprint.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if
    ///
    /// - the URL is not `http`, `https`, or `media://` and a key,
    /// - there is no voiceprint, or there are more than 50,
    /// - a voiceprint is empty or longer than 20,000 characters,
    /// - a label is empty, longer than 100 characters, not unique, or begins with `SPEAKER_` in any case.
    pub fn new<L, V>(
        url: impl AsRef<str>,
        voiceprints: impl IntoIterator<Item = (L, V)>,
    ) -> Result<Self, InvalidRequest>
    where
        L: Into<String>,
        V: Into<String>,
    {
        let url = Address::audio(url.as_ref())?;
        // One more than the maximum is enough to see that there are too many.
        let voiceprints: Vec<_> = labeled(voiceprints, MAX_VOICEPRINTS + 1).collect();
        check(&voiceprints)?;
        Ok(Self {
            url,
            voiceprints,
            common: Common::default(),
            analysis: Analysis::default(),
            matching: None,
        })
    }

    /// Adds the voiceprints of known speakers, such as those of `Speakers` of the crate `tower-pyannote-archive`. The request
    /// has at most 50 voiceprints together.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if there are more than 50 voiceprints, and for voiceprints and labels that [`new`](Self::new)
    /// refuses. A label must not be one that the request has already.
    ///
    /// # Example
    ///
    /// ```
    /// use pyannoteai_client::{IdentifyRequest, InvalidRequest};
    ///
    /// let request = IdentifyRequest::new("https://example.com/meeting.wav", [("Ann", "AAAA")])?
    ///     .with_speakers([("Bob", "BBBB")])?;
    ///
    /// let refused = request.with_speakers([("Ann", "CCCC")]).unwrap_err();
    /// assert_eq!(refused.field(), "voiceprints[2].label");
    /// # Ok::<(), InvalidRequest>(())
    /// ```
    pub fn with_speakers<L, V>(
        mut self,
        speakers: impl IntoIterator<Item = (L, V)>,
    ) -> Result<Self, InvalidRequest>
    where
        L: Into<String>,
        V: Into<String>,
    {
        // One more than the maximum is enough to see that there are too many.
        let room = (MAX_VOICEPRINTS + 1).saturating_sub(self.voiceprints.len());
        self.voiceprints.extend(labeled(speakers, room));
        check(&self.voiceprints)?;
        Ok(self)
    }

    /// Sets the model. Default: the API's, which is [`Model::Precision2`].
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the model is not [`Model::Precision2`], the only one that identifies.
    pub fn with_model(mut self, model: Model) -> Result<Self, InvalidRequest> {
        self.analysis.model = Some(check_precision(model)?);
        Ok(self)
    }

    /// Sets whether a voiceprint matches at most one speaker. Default: the API's, which is yes.
    pub fn with_exclusive_matching(mut self, exclusive: bool) -> Self {
        self.matching.get_or_insert_default().exclusive = Some(exclusive);
        self
    }

    /// Sets the minimum confidence of a match, from 0 to 100. Default: the API's.
    ///
    /// # Errors
    ///
    /// Returns [`InvalidRequest`] if the threshold is not from 0 to 100.
    pub fn with_matching_threshold(mut self, threshold: f64) -> Result<Self, InvalidRequest> {
        if !(0.0..=100.0).contains(&threshold) {
            return Err(InvalidRequest::new(
                "matching.threshold",
                "is not a number from 0 to 100",
            ));
        }
        self.matching.get_or_insert_default().threshold = Some(threshold);
        Ok(self)
    }

    common_setters!();
    analysis_setters!();
}

/// A voiceprint and its label. `Debug` shows only the length, because a voiceprint is biometric data.
#[derive(Clone, PartialEq, Serialize)]
struct LabeledVoiceprint {
    label: String,
    voiceprint: String,
}

impl fmt::Debug for LabeledVoiceprint {
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

fn labeled<L: Into<String>, V: Into<String>>(
    pairs: impl IntoIterator<Item = (L, V)>,
    most: usize,
) -> impl Iterator<Item = LabeledVoiceprint> {
    let pairs = pairs.into_iter().take(most);
    pairs.map(|(label, voiceprint)| LabeledVoiceprint {
        label: label.into(),
        voiceprint: voiceprint.into(),
    })
}

fn check(voiceprints: &[LabeledVoiceprint]) -> Result<(), InvalidRequest> {
    if voiceprints.is_empty() {
        let reason = "is empty: give at least one";
        return Err(InvalidRequest::new("voiceprints", reason));
    }
    if voiceprints.len() > MAX_VOICEPRINTS {
        let reason = "has more than 50: submit several identifications";
        return Err(InvalidRequest::new("voiceprints", reason));
    }
    for (index, labeled) in voiceprints.iter().enumerate() {
        let wrong = |part: &str, reason| {
            InvalidRequest::new(format!("voiceprints[{index}].{part}"), reason)
        };
        check_label(&labeled.label).map_err(|reason| wrong("label", reason))?;
        let earlier = &voiceprints[..index];
        if earlier.iter().any(|other| other.label == labeled.label) {
            return Err(wrong(
                "label",
                "is not unique: give each voiceprint its own",
            ));
        }
        check_voiceprint(&labeled.voiceprint).map_err(|reason| wrong("voiceprint", reason))?;
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), &'static str> {
    if label.is_empty() {
        return Err("is empty: give a name");
    }
    if label.chars().count() > MAX_LABEL_CHARS {
        return Err("is longer than 100 characters: give a shorter one");
    }
    let prefix = label.get(..RESERVED_PREFIX.len()).unwrap_or_default();
    if prefix.eq_ignore_ascii_case(RESERVED_PREFIX) {
        return Err("begins with SPEAKER_, which is reserved for speakers without a match");
    }
    Ok(())
}

fn check_voiceprint(voiceprint: &str) -> Result<(), &'static str> {
    if voiceprint.is_empty() {
        return Err("is empty: give the output of a voiceprint job");
    }
    if voiceprint.chars().count() > MAX_VOICEPRINT_CHARS {
        return Err("is longer than 20,000 characters: give the output of a voiceprint job");
    }
    Ok(())
}

const MAX_VOICEPRINTS: usize = 50;
const MAX_LABEL_CHARS: usize = 100;
const MAX_VOICEPRINT_CHARS: usize = 20_000;
const RESERVED_PREFIX: &str = "SPEAKER_";
