//! The bodies, generated from seeds.

use std::time::Duration;

use bytes::Bytes;
use tower_pyannote::testing::EventBuilder;

/// `a`: a minute of two speakers.
pub fn minute() -> Bytes {
    let minute = EventBuilder::diarization().with_speakers(2).with_seed(1);
    lasting(minute, 170).build()
}

/// `b`: hours of turns, exclusive ones too, each with its scores.
pub fn turns() -> Bytes {
    lasting(turns_builder(), 5_600).build()
}

/// `c`: an hour with words.
pub fn words() -> Bytes {
    lasting(words_builder(), 3_600).build()
}

/// `d`: a day with words and a score curve.
pub fn day() -> Bytes {
    lasting(words_builder().with_confidence(true), DAY).build()
}

/// `d0`: the curve of a day alone.
pub fn curve() -> Bytes {
    let silent = EventBuilder::diarization().with_speakers(0).with_seed(1);
    lasting(silent.with_confidence(true), DAY).build()
}

/// Every kind of body, by name.
pub fn kinds() -> Vec<(&'static str, Bytes)> {
    let identification = EventBuilder::identification()
        .with_seed(1)
        .with_turn_confidence(true);
    vec![
        ("status", EventBuilder::status_only().build()),
        (
            "failed",
            EventBuilder::failed()
                .with_error("Could not load audio")
                .build(),
        ),
        ("unknown", EventBuilder::unknown().build()),
        ("voiceprint", EventBuilder::voiceprint().build()),
        ("identification", lasting(identification, 3_600).build()),
        ("a", minute()),
        ("b", turns()),
        ("c", words()),
        ("d", day()),
    ]
}

/// Returns a body of exactly this many bytes: the longest meeting that fits, and an unknown field as padding.
///
/// # Panics
///
/// Panics below 150 bytes, and above the length of a day's body.
pub fn sized(bytes: usize) -> Bytes {
    let builder = match bytes {
        ..KIB_64 => EventBuilder::diarization().with_seed(1),
        KIB_64..MIB => turns_builder(),
        _ => words_builder().with_confidence(true),
    };
    // The padding needs a field name, and an empty meeting has a length too.
    let room = bytes - FILLING.len() - 1;
    let (mut fits, mut too_long) = (0, DAY);
    while too_long - fits > 1 {
        let middle = fits.midpoint(too_long);
        match lasting(builder.clone(), middle).build().len() <= room {
            true => fits = middle,
            false => too_long = middle,
        }
    }
    let mut body = match lasting(builder, fits).build() {
        meeting if meeting.len() <= room => meeting.to_vec(),
        _ => EventBuilder::status_only().build().to_vec(),
    };
    body.pop();
    body.extend_from_slice(FILLING);
    body.resize(bytes - 2, b'x');
    body.extend_from_slice(b"\"}");
    body.into()
}

/// Returns the raw output of a body.
///
/// # Panics
///
/// Panics if the body has no output.
pub fn output_of(body: &Bytes) -> Bytes {
    #[derive(serde::Deserialize)]
    struct Raw<'a> {
        #[serde(borrow)]
        output: &'a serde_json::value::RawValue,
    }

    let raw: Raw<'_> = serde_json::from_slice(body).expect("it has an output");
    body.slice_ref(raw.output.get().as_bytes())
}

fn turns_builder() -> EventBuilder {
    EventBuilder::diarization()
        .with_speakers(4)
        .with_seed(1)
        .with_exclusive(true)
        .with_turn_confidence(true)
}

fn words_builder() -> EventBuilder {
    EventBuilder::diarization()
        .with_speakers(4)
        .with_seed(1)
        .with_words(true)
}

fn lasting(builder: EventBuilder, seconds: u64) -> EventBuilder {
    let builder = builder.with_duration(Duration::from_secs(seconds));
    builder.expect("it is at most a day")
}

const DAY: u64 = 24 * 3_600;
const KIB_64: usize = 64 << 10;
const MIB: usize = 1 << 20;
const FILLING: &[u8] = br#","filling":""#;
