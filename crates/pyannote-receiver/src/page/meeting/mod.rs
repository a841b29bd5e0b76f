//! A meeting, held so that any part of it is reduced quickly to what a screen can show.

mod cache;
mod curve;
mod window;

use std::collections::HashMap;

use tower_pyannote::{
    Output,
    event::{Label, ScoreCurve, Transcript, Turn, Turns},
};

pub(crate) use self::{
    cache::{Meetings, NoMeeting},
    window::View,
};
use self::{curve::Curve, window::mark};

/// The turns, words and scores of an output, sorted by time.
#[derive(Debug)]
pub(crate) struct Meeting {
    duration: f64,
    speech_time: f64,
    overlap: f64,
    lanes: Vec<Speaker>,
    curves: Vec<Curve>,
    words: Vec<Word>,
    /// The text of turns.
    texts: Vec<Word>,
}

#[derive(Debug)]
struct Speaker {
    label: String,
    talk_time: f64,
    turns: Vec<Mark>,
    exclusive: Vec<Mark>,
    curve: Option<Curve>,
}

/// When a speaker is heard.
#[derive(Clone, Copy, Debug)]
struct Mark {
    start: f64,
    end: f64,
    confidence: Option<u8>,
}

#[derive(Debug)]
struct Word {
    start: f64,
    end: f64,
    speaker: String,
    text: String,
}

impl Meeting {
    /// Reads an output. Returns `None` for one without turns, such as a voiceprint.
    ///
    /// Takes time in proportion to the output, so call it off the async threads.
    pub(crate) fn read(output: &Output) -> Option<Self> {
        if let Some(output) = output.as_diarization() {
            let mut meeting = Self::of(&output.diarization, &output.exclusive_diarization);
            meeting.curves = curves([
                ("speech", output.speech_probability.as_ref()),
                ("cross-talk", output.crosstalk_probability.as_ref()),
                ("confidence", output.confidence.as_ref()),
            ]);
            meeting.words = words(&output.word_level_transcription);
            let by_turn = &output.turn_level_transcription;
            meeting.texts = match by_turn.is_empty() {
                true => words(&output.word_level_transcription.turn_level()),
                false => words(by_turn),
            };
            if let Some(curves) = &output.speaker_probability {
                meeting.add_curves(curves.resolution, |label| curves.curve(label));
            }
            return Some(meeting.measured());
        }
        let output = output.as_identification()?;
        let mut meeting = Self::of(&output.turns(), &output.exclusive_turns());
        meeting.curves = curves([
            ("speech", output.speech_probability.as_ref()),
            ("cross-talk", output.crosstalk_probability.as_ref()),
            ("confidence", output.confidence.as_ref()),
        ]);
        if let Some(curves) = &output.speaker_probability {
            // The curves have the labels of the diarization, the lanes those of the matches.
            let matches = output.voiceprints.iter();
            let matches: HashMap<&str, &str> = matches
                .filter_map(|it| Some((it.matched.as_ref()?.as_str(), it.speaker.as_str())))
                .collect();
            meeting.add_curves(curves.resolution, |label| {
                curves.curve(matches.get(label).copied().unwrap_or(label))
            });
        }
        Some(meeting.measured())
    }

    /// Returns the seconds of the recording, as far as turns, words and scores show.
    pub(crate) fn duration(&self) -> f64 {
        self.duration
    }

    /// Returns the approximate size in memory, in bytes.
    fn bytes(&self) -> usize {
        let marks = |lane: &Speaker| (lane.turns.len() + lane.exclusive.len()) * size_of::<Mark>();
        let samples = |curve: &Curve| curve.len();
        let words = self.words.iter().chain(&self.texts);
        let words = words.map(|word| size_of::<Word>() + word.text.len() + word.speaker.len());
        let lanes = self.lanes.iter();
        let lanes = lanes.map(|lane| marks(lane) + lane.curve.as_ref().map_or(0, samples));
        self.curves.iter().map(samples).sum::<usize>() + words.sum::<usize>() + lanes.sum::<usize>()
    }

    fn of(turns: &Turns, exclusive: &Turns) -> Self {
        let talk_times = turns.talk_times();
        let mut lanes: Vec<Speaker> = Vec::new();
        let mut places: HashMap<Label, usize> = HashMap::new();
        for (label, talk_time) in talk_times.iter() {
            if lanes.len() == MOST_LANES {
                break;
            }
            places.insert(label.clone(), lanes.len());
            lanes.push(Speaker::new(label.as_str().to_owned(), *talk_time));
        }
        let is_cut = talk_times.len() > lanes.len();
        if is_cut {
            let others = talk_times.iter().skip(MOST_LANES).map(|(_, time)| *time);
            let label = format!("{} more speakers", talk_times.len() - MOST_LANES);
            lanes.push(Speaker::new(label, others.sum()));
        }
        let place = |turn: &Turn| {
            let last = is_cut.then(|| lanes.len() - 1);
            places.get(&turn.speaker).copied().or(last)
        };
        let placed: Vec<_> = turns.iter().map(|turn| (place(turn), mark(turn))).collect();
        let alone: Vec<_> = exclusive
            .iter()
            .map(|turn| (place(turn), mark(turn)))
            .collect();
        for (place, mark) in placed {
            if let (Some(lane), Some(mark)) = (place.and_then(|at| lanes.get_mut(at)), mark) {
                lane.turns.push(mark);
            }
        }
        for (place, mark) in alone {
            if let (Some(lane), Some(mark)) = (place.and_then(|at| lanes.get_mut(at)), mark) {
                lane.exclusive.push(mark);
            }
        }
        for lane in &mut lanes {
            lane.turns.sort_by(|a, b| a.start.total_cmp(&b.start));
            lane.exclusive.sort_by(|a, b| a.start.total_cmp(&b.start));
        }
        Self {
            duration: turns.duration(),
            speech_time: turns.speech_time(),
            overlap: turns.overlap(),
            lanes,
            curves: Vec::new(),
            words: Vec::new(),
            texts: Vec::new(),
        }
    }

    fn add_curves<'a>(&mut self, resolution: f64, curve: impl Fn(&str) -> Option<&'a [f32]>) {
        for lane in &mut self.lanes {
            lane.curve = curve(&lane.label).and_then(|it| Curve::new("speaker", it, resolution));
        }
    }

    fn measured(mut self) -> Self {
        let curves = self.curves.iter().map(Curve::duration);
        let words = self.words.iter().chain(&self.texts).map(|word| word.end);
        self.duration = curves
            .chain(words)
            .fold(self.duration, f64::max)
            .min(LONGEST);
        self
    }
}

impl Speaker {
    fn new(label: String, talk_time: f64) -> Self {
        Self {
            label,
            talk_time,
            turns: Vec::new(),
            exclusive: Vec::new(),
            curve: None,
        }
    }
}

fn curves<const N: usize>(curves: [(&'static str, Option<&ScoreCurve>); N]) -> Vec<Curve> {
    let curves = curves.into_iter();
    curves
        .filter_map(|(name, curve)| {
            let curve = curve?;
            Curve::new(name, &curve.score, curve.resolution)
        })
        .collect()
}

fn words(transcript: &Transcript) -> Vec<Word> {
    let usable = transcript.iter().filter(|word| {
        word.start.is_finite() && word.end.is_finite() && word.start >= 0.0 && word.end <= LONGEST
    });
    let mut words: Vec<_> = usable
        .map(|word| Word {
            start: word.start,
            end: word.end.max(word.start),
            speaker: word.speaker.as_str().to_owned(),
            text: word.text.as_str().to_owned(),
        })
        .collect();
    words.sort_by(|a, b| a.start.total_cmp(&b.start));
    words
}

/// Speakers beyond these share one lane.
const MOST_LANES: usize = 40;

/// The seconds that a picture shows at most: 100 hours.
const LONGEST: f64 = 360_000.0;
