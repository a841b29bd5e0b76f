use std::fmt;

use serde::Serialize;

use super::LabelMap;

/// A score for each step of the audio, from 0 to 100.
///
/// `Debug` shows the number of scores, not the scores: a day of audio has 4.3 million.
///
/// ```
/// # use std::time::SystemTime;
/// use tower_pyannote::{WebhookEvent, event::Delivery};
///
/// let body = r#"{"jobId": "a", "status": "succeeded", "output": {
///     "diarization": [], "confidence": {"score": [97, 84.5, null], "resolution": 0.02}}}"#;
/// let event = WebhookEvent::new(body.into(), Delivery::at(SystemTime::now()))?;
///
/// let output = event.output().and_then(|output| output.as_diarization());
/// let curve = output.and_then(|output| output.confidence.as_ref()).unwrap();
/// assert_eq!(curve.at(0.02), Some(84.5));
/// assert_eq!(curve.at(0.04), None);
/// # Ok::<(), tower_pyannote::event::EventError>(())
/// ```
#[derive(Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScoreCurve {
    /// The scores, from 0 to 100; NaN where null was sent.
    pub score: Vec<f32>,
    /// The seconds from one score to the next, usually 0.02; NaN if it was not sent.
    pub resolution: f64,
}

impl ScoreCurve {
    /// Creates a curve from its scores and the seconds from one to the next.
    #[must_use]
    pub const fn new(score: Vec<f32>, resolution: f64) -> Self {
        Self { score, resolution }
    }

    /// Returns the score at a time, in seconds from the start of the audio.
    ///
    /// Returns `None` before the start, after the end, and where no score was sent.
    #[must_use]
    pub fn at(&self, seconds: f64) -> Option<f32> {
        score_at(&self.score, self.resolution, seconds)
    }

    /// Returns the seconds that the curve covers, 0 if the resolution is not a positive number.
    #[must_use]
    pub fn duration(&self) -> f64 {
        duration(&self.score, self.resolution)
    }

    /// Iterates over the scores, each with its start in seconds.
    pub fn iter(&self) -> impl Iterator<Item = (f64, f32)> {
        timed(&self.score, self.resolution)
    }
}

impl fmt::Debug for ScoreCurve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScoreCurve")
            .field("scores", &self.score.len())
            .field("resolution", &self.resolution)
            .finish()
    }
}

read_object!(ScoreCurve {
    "score" => score: Vec<f32> = Vec::new(),
    "resolution" => resolution: f64 = f64::NAN,
});

/// The scores of each speaker, for each step of the audio.
///
/// `Debug` shows the number of scores, not the scores.
#[derive(Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SpeakerCurves {
    /// The scores of each speaker, from 0 to 100; NaN where null was sent.
    pub score: LabelMap<Vec<f32>>,
    /// The seconds from one score to the next, usually 0.02; NaN if it was not sent.
    pub resolution: f64,
}

impl SpeakerCurves {
    /// Creates the curves from their scores and the seconds from one to the next.
    #[must_use]
    pub const fn new(score: LabelMap<Vec<f32>>, resolution: f64) -> Self {
        Self { score, resolution }
    }

    /// Returns the scores of a speaker.
    #[must_use]
    pub fn curve(&self, speaker: &str) -> Option<&[f32]> {
        self.score.get(speaker).map(Vec::as_slice)
    }

    /// Returns the score of a speaker at a time, in seconds from the start of the audio.
    ///
    /// Returns `None` before the start, after the end, and where no score was sent.
    #[must_use]
    pub fn at(&self, speaker: &str, seconds: f64) -> Option<f32> {
        score_at(self.curve(speaker)?, self.resolution, seconds)
    }

    /// Returns the seconds that the longest curve covers, 0 if the resolution is not a positive number.
    #[must_use]
    pub fn duration(&self) -> f64 {
        let durations = self
            .score
            .values()
            .map(|scores| duration(scores, self.resolution));
        durations.fold(0.0, f64::max)
    }

    /// Iterates over the scores of a speaker, each with its start in seconds.
    pub fn iter(&self, speaker: &str) -> impl Iterator<Item = (f64, f32)> {
        timed(self.curve(speaker).unwrap_or_default(), self.resolution)
    }
}

impl fmt::Debug for SpeakerCurves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self
            .score
            .iter()
            .map(|(label, scores)| (label.clone(), scores.len()));
        f.debug_struct("SpeakerCurves")
            .field("scores", &lengths.collect::<LabelMap<_>>())
            .field("resolution", &self.resolution)
            .finish()
    }
}

read_object!(SpeakerCurves {
    "score" => score: LabelMap<Vec<f32>> = LabelMap::new(),
    "resolution" => resolution: f64 = f64::NAN,
});

fn score_at(scores: &[f32], resolution: f64, seconds: f64) -> Option<f32> {
    let index = step(seconds, resolution)?;
    scores.get(index).copied().filter(|score| !score.is_nan())
}

#[cfg_attr(
    not(test),
    expect(
        clippy::as_conversions,
        reason = "a cast of a float saturates, it cannot overflow"
    )
)]
fn step(seconds: f64, resolution: f64) -> Option<usize> {
    if resolution.is_nan() || resolution <= 0.0 {
        return None;
    }
    // 0.58 / 0.02 is 28.999999999999996 in binary, although step 29 begins there.
    let step = (seconds / resolution + 1e-6).floor();
    (step >= 0.0 && step.is_finite()).then_some(step as usize)
}

fn duration(scores: &[f32], resolution: f64) -> f64 {
    let steps = u32::try_from(scores.len()).unwrap_or(u32::MAX);
    if resolution.is_finite() && resolution > 0.0 {
        f64::from(steps) * resolution
    } else {
        0.0
    }
}

fn timed(scores: &[f32], resolution: f64) -> impl Iterator<Item = (f64, f32)> {
    let times = (0..=u32::MAX).map(move |step| f64::from(step) * resolution);
    times.zip(scores.iter().copied())
}
