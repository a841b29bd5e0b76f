//! JSON bodies of events, as text.

use std::fmt::Write;

/// Returns the job id with this number.
pub fn job(number: usize) -> String {
    format!("3c8a89a5-8ac3-4a3b-b0c5-{number:012}")
}

/// Returns the body of a job that succeeded, without output.
pub fn status_only(job: &str) -> Vec<u8> {
    format!(r#"{{"jobId":"{job}","status":"succeeded"}}"#).into_bytes()
}

/// Returns a diarization with a score curve. The body has at least `least` bytes.
pub fn diarization(job: &str, least: usize) -> Vec<u8> {
    let mut body = format!(
        r#"{{"jobId":"{job}","status":"succeeded","output":{{"diarization":[
            {{"speaker":"SPEAKER_00","start":0.5,"end":4.25}},{{"speaker":"SPEAKER_01","start":4,"end":9.5}}],
            "confidence":{{"resolution":0.02,"score":[50"#
    );
    let mut number = 0;
    while body.len() < least {
        write!(body, ",{}.{}", number % 100, number % 7).unwrap();
        number += 1;
    }
    body += "]}}}";
    body.into_bytes()
}

/// Returns bodies of every kind, each with the kind and the status that the archive puts in its file name.
pub fn of_each_kind() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let bodies = [
        (
            "identification",
            "succeeded",
            r#""status":"succeeded","output":{"identification":[{"speaker":"Ada","start":0,"end":2,"diarizationSpeaker":"SPEAKER_00","match":"Ada"}],"voiceprints":[]}"#,
        ),
        (
            "voiceprint",
            "succeeded",
            r#""status":"succeeded","output":{"voiceprint":"AAECAwQFBgc"}"#,
        ),
        (
            "unknown",
            "succeeded",
            r#""status":"succeeded","output":{"emotions":[[[1e999]]]}"#,
        ),
        ("none", "succeeded", r#""status":"succeeded""#),
        (
            "none",
            "failed",
            "\"status\" :\r\n\t\"failed\", \"output\": {\"error\": \"na\u{ef}ve \u{1f3a4} \\ud83c\\udfa4\"}",
        ),
        ("none", "canceled", r#""status":"canceled","output":null"#),
        (
            "diarization",
            "succeeded",
            r#""status":"succeeded","output":{"diarization":[]},"grown":{"since":1}"#,
        ),
    ];
    let small = bodies
        .into_iter()
        .enumerate()
        .map(|(number, (kind, status, rest))| {
            let body = format!("{{\"jobId\":\"{}\",{rest}}}\n", job(number));
            (kind, status, body.into_bytes())
        });
    let large = ("diarization", "succeeded", diarization(&job(100), 5 << 20));
    small.chain([large]).collect()
}
