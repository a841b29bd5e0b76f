use std::time::{Duration, SystemTime};

use crate::{error::ConfigError, event::Turn};

/// Builds the body of an event, of any kind and length, from a seed. The same settings build the same bytes.
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
///
/// # Example: turns and outputs of your own
///
/// ```
/// use std::time::SystemTime;
/// use serde_json::json;
/// use tower_pyannote::{Kind, event::{Delivery, Turn}, testing::EventBuilder};
///
/// let delivery = || Delivery::at(SystemTime::now());
/// let turns = [Turn::new("ADA", 0.0, 1.5), Turn::new("GRACE", 1.25, 3.0)];
/// let event = EventBuilder::diarization().with_turns(turns).build_event(delivery())?;
/// let output = event.output().and_then(|output| output.as_diarization()).unwrap();
/// assert_eq!(output.diarization.overlap(), 0.25);
///
/// let output = json!({ "voiceprint": "AAAA", "warning": "low quality" });
/// let event = EventBuilder::voiceprint().with_output(output).build_event(delivery())?;
/// assert_eq!((event.kind(), event.warning()), (Some(Kind::Voiceprint), Some("low quality")));
/// # Ok::<_, tower_pyannote::event::EventError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct EventBuilder {
    pub(super) shape: Shape,
    pub(super) job_id: Option<String>,
    pub(super) seed: u64,
    pub(super) duration: Duration,
    pub(super) speakers: u8,
    pub(super) turns: Option<Vec<Turn>>,
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
    /// As JSON.
    pub(super) output: Option<String>,
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
    /// Creates a builder of a diarization: who spoke when.
    pub fn diarization() -> Self {
        Self::new(Shape::Diarization)
    }

    /// Creates a builder of an identification: which of the given voiceprints spoke when.
    pub fn identification() -> Self {
        Self::new(Shape::Identification)
    }

    /// Creates a builder of a voiceprint.
    pub fn voiceprint() -> Self {
        Self::new(Shape::Voiceprint)
    }

    /// Creates a builder of a success without output, as `webhookStatusOnly` asks for.
    pub fn status_only() -> Self {
        Self::new(Shape::StatusOnly)
    }

    /// Creates a builder of a failure, without a reason unless [`with_error`](Self::with_error) gives one.
    pub fn failed() -> Self {
        Self::new(Shape::Failed)
    }

    /// Creates a builder of a canceled job.
    pub fn canceled() -> Self {
        Self::new(Shape::Canceled)
    }

    /// Creates a builder of a success with an output of a kind that this crate does not know.
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
            turns: None,
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
            output: None,
        }
    }

    /// Sets the id of the job. Default: a UUID from the seed.
    pub fn with_job_id(mut self, job_id: impl Into<String>) -> Self {
        self.job_id = Some(job_id.into());
        self
    }

    /// Sets the seed of all random parts. Default: 0.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the length of the audio. Default: one minute.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::EventTooLong`] if the length is over 24 h, the limit of pyannoteAI.
    pub fn with_duration(mut self, duration: Duration) -> Result<Self, ConfigError> {
        if duration > LONGEST {
            return Err(ConfigError::EventTooLong { duration });
        }
        self.duration = duration;
        Ok(self)
    }

    /// Sets the number of speakers. Default: 3. With 0 speakers there are no turns.
    pub fn with_speakers(mut self, speakers: u8) -> Self {
        self.speakers = speakers;
        self
    }

    /// Sets the turns, in their order. Default: turns from the seed.
    ///
    /// Transcripts, score curves and matches fit these turns, and [`with_speakers`](Self::with_speakers) has no effect. The
    /// length of the score curves stays that of [`with_duration`](Self::with_duration). Times are cut to milliseconds, and
    /// one that is negative or not finite becomes 0. The confidence of the turns is not used.
    pub fn with_turns(mut self, turns: impl IntoIterator<Item = Turn>) -> Self {
        self.turns = Some(turns.into_iter().collect());
        self
    }

    /// Sets the whole output, any JSON value. Default: an output of the builder's kind.
    ///
    /// The status stays that of the builder's kind. All other settings of the output have no effect, such as
    /// [`with_warning`](Self::with_warning) and [`with_error`](Self::with_error).
    pub fn with_output(mut self, output: impl Into<serde_json::Value>) -> Self {
        self.output = Some(output.into().to_string());
        self
    }

    /// Sets whether a diarization has transcripts, by word and by turn. Default: false.
    pub fn with_words(mut self, words: bool) -> Self {
        self.words = words;
        self
    }

    /// Sets whether a diarization or an identification has `exclusiveDiarization`, the turns without overlap. Default: false.
    pub fn with_exclusive(mut self, exclusive: bool) -> Self {
        self.exclusive = exclusive;
        self
    }

    /// Sets whether each turn has a score of each speaker. Default: false.
    pub fn with_turn_confidence(mut self, turn_confidence: bool) -> Self {
        self.turn_confidence = turn_confidence;
        self
    }

    /// Sets whether the output has the curve `confidence`. Default: false.
    pub fn with_confidence(mut self, confidence: bool) -> Self {
        self.confidence = confidence;
        self
    }

    /// Sets whether the output has the curve `speechProbability`. Default: false.
    pub fn with_speech_probability(mut self, speech_probability: bool) -> Self {
        self.speech_probability = speech_probability;
        self
    }

    /// Sets whether the output has the curve `crosstalkProbability`. Default: false.
    pub fn with_crosstalk_probability(mut self, crosstalk_probability: bool) -> Self {
        self.crosstalk_probability = crosstalk_probability;
        self
    }

    /// Sets whether the output has `speakerProbability`, a curve for each speaker. Default: false.
    pub fn with_speaker_probability(mut self, speaker_probability: bool) -> Self {
        self.speaker_probability = speaker_probability;
        self
    }

    /// Sets the labels of the voiceprints that an identification compares with. Default: `Ada` and `Grace`.
    pub fn with_labels<L: Into<String>>(mut self, labels: impl IntoIterator<Item = L>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether a voiceprint matches at most one speaker. Default: true.
    pub fn with_exclusive_matching(mut self, exclusive: bool) -> Self {
        self.matching_exclusive = exclusive;
        self
    }

    /// Sets the least score of a match, from 0 to 100. Default: 0.
    pub fn with_matching_threshold(mut self, threshold: u8) -> Self {
        self.matching_threshold = threshold;
        self
    }

    /// Sets `warning` of the output, if the event has an output. Default: none.
    pub fn with_warning(mut self, warning: impl Into<String>) -> Self {
        self.warning = Some(warning.into());
        self
    }

    /// Sets `error` of the output, and adds an output to a failed or canceled job. Default: none.
    pub fn with_error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// Sets `createdAt` and `updatedAt`, which the API sends and a webhook does not. Default: none.
    pub fn with_dates(mut self, created: SystemTime, updated: SystemTime) -> Self {
        self.dates = Some((created, updated));
        self
    }
}

/// The limit of pyannoteAI.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
