use serde_json::{Value, json};

/// A delivery of each sort, and what it is.
pub(crate) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let bodies = [
        (
            "an identification",
            "7d1c0a52-identify",
            json!({
                "status": "succeeded",
                "output": { "diarization": turns(), "identification": identified(), "voiceprints": [
                    { "speaker": "SPEAKER_00", "match": "Ada", "confidence": { "Ada": 91, "Grace": 20 } },
                    { "speaker": "SPEAKER_01", "match": "Grace", "confidence": { "Ada": 12, "Grace": 84 } },
                    { "speaker": "SPEAKER_02", "match": null, "confidence": { "Ada": 30, "Grace": 25 } },
                ] },
            }),
        ),
        (
            "a voiceprint",
            "0b9e4f11-voiceprint",
            json!({ "status": "succeeded", "output": { "voiceprint": "AAECAwQFBgc".repeat(200) } }),
        ),
        (
            "a failed job",
            "c2a8d6e7-failed",
            json!({ "status": "failed", "output": { "error": "the audio could not be downloaded" } }),
        ),
        (
            "a canceled job",
            "91f3b0c4-canceled",
            json!({ "status": "canceled" }),
        ),
        (
            "a success without output",
            "e6d5c4b3-status-only",
            json!({ "status": "succeeded" }),
        ),
        (
            "an output nobody knows yet",
            "5a4b3c2d-unknown",
            json!({ "status": "succeeded", "output": { "emotions": [] } }),
        ),
    ];
    let others = bodies.map(|(what, job, body)| (what, write(job, body)));
    [("a diarization", meeting())]
        .into_iter()
        .chain(others)
        .collect()
}

/// A meeting of three.
pub(crate) fn meeting() -> Vec<u8> {
    let words: Vec<_> = TURNS
        .iter()
        .map(|(speaker, start, _)| json!({ "start": start, "end": start + 0.4, "text": "so", "speaker": speaker }))
        .collect();
    let body = json!({
        "status": "succeeded",
        "output": { "diarization": turns(), "wordLevelTranscription": words },
    });
    write("3c8a89a5-diarize", body)
}

fn write(job: &str, mut body: Value) -> Vec<u8> {
    body["jobId"] = job.into();
    body.to_string().into_bytes()
}

fn turns() -> Vec<Value> {
    TURNS
        .iter()
        .map(|(speaker, start, end)| json!({ "speaker": speaker, "start": start, "end": end }))
        .collect()
}

fn identified() -> Vec<Value> {
    TURNS
        .iter()
        .map(|(speaker, start, end)| {
            let who = match *speaker {
                "SPEAKER_00" => Some("Ada"),
                "SPEAKER_01" => Some("Grace"),
                _ => None,
            };
            json!({
                "speaker": who.unwrap_or(speaker), "start": start, "end": end,
                "diarizationSpeaker": speaker, "match": who,
            })
        })
        .collect()
}

const TURNS: [(&str, f64, f64); 12] = [
    ("SPEAKER_00", 0.5, 14.2),
    ("SPEAKER_01", 13.6, 21.0),
    ("SPEAKER_00", 21.4, 24.9),
    ("SPEAKER_02", 26.0, 41.7),
    ("SPEAKER_01", 40.1, 44.0),
    ("SPEAKER_02", 44.5, 58.3),
    ("SPEAKER_00", 58.9, 71.0),
    ("SPEAKER_01", 72.4, 83.1),
    ("SPEAKER_00", 82.0, 85.5),
    ("SPEAKER_02", 86.2, 90.4),
    ("SPEAKER_01", 91.0, 108.8),
    ("SPEAKER_00", 109.5, 118.0),
];
