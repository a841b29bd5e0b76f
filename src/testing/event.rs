use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fastrand::Rng;
use jiff::Timestamp;

use super::json::Json;
use crate::{
    ConfigError, WebhookEvent,
    event::{Delivery, EventError},
};

/// Makes the body of an event, of any kind and length, from a seed: the same settings make the same bytes.
///
/// # Example: a day of talk
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_pyannote::{ConfigError, Kind, event::Delivery, testing::EventBuilder};
///
/// let builder = EventBuilder::diarization()
///     .with_job_id("job-1")
///     .with_seed(7)
///     .with_duration(Duration::from_secs(24 * 3600))?
///     .with_words(true);
/// let event = builder.build_event(Delivery::at(SystemTime::now()))?;
/// assert_eq!(event.kind(), Some(Kind::Diarization));
/// let output = event.output().and_then(|output| output.as_diarization()).unwrap();
/// assert!(output.word_level_transcription.len() > 150_000);
///
/// let longer = EventBuilder::diarization().with_duration(Duration::from_secs(24 * 3600 + 1));
/// assert!(matches!(longer, Err(ConfigError::EventTooLong { .. })));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EventBuilder {
    pub(super) shape: Shape,
    pub(super) job_id: Option<String>,
    pub(super) seed: u64,
    pub(super) duration: Duration,
    pub(super) speakers: u8,
    pub(super) words: bool,
    pub(super) exclusive: bool,
    pub(super) turn_confidence: bool,
    pub(super) confidence: bool,
    pub(super) speech_probability: bool,
    pub(super) crosstalk_probability: bool,
    pub(super) speaker_probability: bool,
    pub(super) labels: Vec<String>,
    pub(super) matching_exclusive: bool,
    pub(super) matching_threshold: u8,
    pub(super) warning: Option<String>,
    pub(super) error: Option<String>,
    pub(super) dates: Option<(SystemTime, SystemTime)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Diarization,
    Identification,
    Voiceprint,
    StatusOnly,
    Failed,
    Canceled,
    Unknown,
}

impl EventBuilder {
    /// A diarization: who spoke when.
    pub fn diarization() -> Self {
        Self::new(Shape::Diarization)
    }

    /// An identification: who of the given voiceprints spoke when.
    pub fn identification() -> Self {
        Self::new(Shape::Identification)
    }

    /// A voiceprint.
    pub fn voiceprint() -> Self {
        Self::new(Shape::Voiceprint)
    }

    /// A success without output, as `webhookStatusOnly` asks for.
    pub fn status_only() -> Self {
        Self::new(Shape::StatusOnly)
    }

    /// A job that failed, without a word why; see [`with_error`](Self::with_error).
    pub fn failed() -> Self {
        Self::new(Shape::Failed)
    }

    /// A job that was canceled.
    pub fn canceled() -> Self {
        Self::new(Shape::Canceled)
    }

    /// A success with an output that this crate does not know.
    pub fn unknown() -> Self {
        Self::new(Shape::Unknown)
    }

    fn new(shape: Shape) -> Self {
        Self {
            shape,
            job_id: None,
            seed: 0,
            duration: Duration::from_secs(60),
            speakers: 3,
            words: false,
            exclusive: false,
            turn_confidence: false,
            confidence: false,
            speech_probability: false,
            crosstalk_probability: false,
            speaker_probability: false,
            labels: vec!["Ada".into(), "Grace".into()],
            matching_exclusive: true,
            matching_threshold: 0,
            warning: None,
            error: None,
            dates: None,
        }
    }

    /// Sets the id of the job; by default one that is made from the seed.
    pub fn with_job_id(mut self, job_id: impl Into<String>) -> Self {
        self.job_id = Some(job_id.into());
        self
    }

    /// Sets what everything is made from; 0 by default.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the length of the audio; a minute by default.
    ///
    /// # Errors
    ///
    /// [`ConfigError::EventTooLong`] if it is over 24 h, the longest audio that pyannoteAI takes.
    pub fn with_duration(mut self, duration: Duration) -> Result<Self, ConfigError> {
        if duration > LONGEST {
            return Err(ConfigError::EventTooLong { duration });
        }
        self.duration = duration;
        Ok(self)
    }

    /// Sets how many speak; 3 by default. With 0 there are no turns.
    pub fn with_speakers(mut self, speakers: u8) -> Self {
        self.speakers = speakers;
        self
    }

    /// Sets whether a diarization has transcripts, by word and by turn; by default it has none.
    pub fn with_words(mut self, words: bool) -> Self {
        self.words = words;
        self
    }

    /// Sets whether a diarization has `exclusiveDiarization` too, in which nobody speaks at once; by default it has not.
    pub fn with_exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Sets whether each turn has its scores; by default it has none.
    pub fn with_turn_confidence(mut self, turn_confidence: bool) -> Self {
        self.turn_confidence = turn_confidence;
        self
    }

    /// Sets whether there is a curve `confidence`; by default there is none.
    pub fn with_confidence(mut self, confidence: bool) -> Self {
        self.confidence = confidence;
        self
    }

    /// Sets whether there is a curve `speechProbability`; by default there is none.
    pub fn with_speech_probability(mut self, speech_probability: bool) -> Self {
        self.speech_probability = speech_probability;
        self
    }

    /// Sets whether there is a curve `crosstalkProbability`; by default there is none.
    pub fn with_crosstalk_probability(mut self, crosstalk_probability: bool) -> Self {
        self.crosstalk_probability = crosstalk_probability;
        self
    }

    /// Sets whether there is a curve for each speaker, `speakerProbability`; by default there is none.
    pub fn with_speaker_probability(mut self, speaker_probability: bool) -> Self {
        self.speaker_probability = speaker_probability;
        self
    }

    /// Sets the labels of the voiceprints that an identification compares with; `Ada` and `Grace` by default.
    pub fn with_labels<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether a voiceprint matches one speaker at most; by default so.
    pub fn with_exclusive_matching(mut self, exclusive: bool) -> Self {
        self.matching_exclusive = exclusive;
        self
    }

    /// Sets the score, from 0 to 100, that a match must reach; 0 by default.
    pub fn with_matching_threshold(mut self, threshold: u8) -> Self {
        self.matching_threshold = threshold;
        self
    }

    /// Sets `warning` of the output, if there is one; by default there is no warning.
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warning = Some(warning.into());
        self
    }

    /// Sets `error` of the output, and gives a failed or canceled job one to hold it; by default there is no error.
    pub fn with_error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// Sets `createdAt` and `updatedAt`, which the API gives and a webhook does not; by default there are none.
    pub fn with_dates(mut self, created: SystemTime, updated: SystemTime) -> Self {
        self.dates = Some((created, updated));
        self
    }

    /// The id of the job: the one that was set, else the one that the seed makes.
    #[must_use]
    pub fn job_id(&self) -> String {
        match &self.job_id {
            Some(job_id) => job_id.clone(),
            None => job_id(&mut Rng::with_seed(self.seed)),
        }
    }

    /// Makes the body.
    #[must_use]
    pub fn build(&self) -> Bytes {
        let mut rng = Rng::with_seed(self.seed);
        // Taken in any case, so that all else is the same whether it is used or not.
        let made = job_id(&mut rng);
        let mut json = Json::default();
        json.push("{\"jobId\":");
        json.text(self.job_id.as_deref().unwrap_or(&made));
        json.push(",\"status\":");
        json.text(self.status());
        for (name, date) in [
            ("createdAt", self.dates.map(|dates| dates.0)),
            ("updatedAt", self.dates.map(|dates| dates.1)),
        ] {
            if let Some(Ok(date)) = date.map(Timestamp::try_from) {
                json.key(name);
                // Milliseconds, as JavaScript writes it.
                json.text(&format!("{date:.3}"));
            }
        }
        self.write_output(&mut json, &mut rng);
        json.push("}");
        json.into_bytes()
    }

    /// Makes an event of the body, as if it had been delivered so.
    ///
    /// # Errors
    ///
    /// [`EventError::MissingJobId`] if the id of the job was set to nothing.
    pub fn build_event(&self, delivery: Delivery) -> Result<WebhookEvent, EventError> {
        WebhookEvent::new(self.build(), delivery)
    }

    fn status(&self) -> &'static str {
        match self.shape {
            Shape::Failed => "failed",
            Shape::Canceled => "canceled",
            _ => "succeeded",
        }
    }
}

/// A random UUID.
fn job_id(rng: &mut Rng) -> String {
    let bits = (rng.u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}

/// The longest audio that pyannoteAI takes.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
