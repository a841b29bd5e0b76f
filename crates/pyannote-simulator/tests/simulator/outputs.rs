use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use pyannote_simulator::{Config, Simulator};
use serde_json::{Value, json};
use tower_pyannote::{Output, WebhookEvent, event::Delivery};

use crate::simulated::{Simulated, poll, secret};

const AUDIO: &str = "https://example.com/a.wav";

fn keys(output: &Value) -> Vec<&str> {
    output
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

async fn output(simulated: &Simulated, path: &str, body: Value) -> Value {
    let id = simulated.submit(path, body).await;
    let done = simulated.done(&id).await;
    assert_eq!(done["status"], "succeeded");
    done["output"].clone()
}

#[tokio::test]
async fn diarization_has_only_what_the_submission_asked_for() {
    let simulated = Simulated::start(|config| config).await;
    let plain = output(&simulated, "/v1/diarize", json!({ "url": AUDIO })).await;
    assert_eq!(keys(&plain), ["diarization"]);
    for (flag, key) in [
        ("exclusive", "exclusiveDiarization"),
        ("confidence", "confidence"),
        ("speechProbability", "speechProbability"),
        ("crosstalkProbability", "crosstalkProbability"),
        ("speakerProbability", "speakerProbability"),
    ] {
        let output = output(
            &simulated,
            "/v1/diarize",
            json!({ "url": AUDIO, flag: true }),
        )
        .await;
        let mut expected = ["diarization", key];
        expected.sort_unstable();
        assert_eq!(keys(&output), expected);
    }
    let said = output(
        &simulated,
        "/v1/diarize",
        json!({ "url": AUDIO, "transcription": true }),
    )
    .await;
    assert_eq!(
        keys(&said),
        [
            "diarization",
            "turnLevelTranscription",
            "wordLevelTranscription"
        ]
    );
    let sure = output(
        &simulated,
        "/v1/diarize",
        json!({ "url": AUDIO, "turnLevelConfidence": true }),
    )
    .await;
    assert!(sure["diarization"][0]["confidence"]["SPEAKER_00"].is_u64());
    assert_eq!(keys(&plain["diarization"][0]), ["end", "speaker", "start"]);
}

#[tokio::test]
async fn speaker_count_follows_the_submission() {
    let simulated = Simulated::start(|config| config).await;
    for (asked, speakers) in [
        (json!({}), 3),
        (json!({ "numSpeakers": 5 }), 5),
        (json!({ "maxSpeakers": 2 }), 2),
        (json!({ "minSpeakers": 4 }), 4),
    ] {
        let mut body = json!({ "url": AUDIO });
        body.as_object_mut()
            .unwrap()
            .extend(asked.as_object().unwrap().clone());
        let output = output(&simulated, "/v1/diarize", body).await;
        let turns = output["diarization"].as_array().unwrap();
        let mut labels: Vec<_> = turns
            .iter()
            .map(|turn| turn["speaker"].as_str().unwrap())
            .collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), speakers);
    }
}

#[tokio::test]
async fn identification_matches_the_given_voiceprints() {
    let simulated = Simulated::start(|config| config).await;
    let body = json!({
        "url": AUDIO, "numSpeakers": 3, "voiceprints": [
            { "label": "Zoë", "voiceprint": "AAEC" }, { "label": "Bob", "voiceprint": "AAEC" },
        ],
    });
    let output = output(&simulated, "/v1/identify", body).await;
    assert_eq!(
        keys(&output),
        ["diarization", "identification", "voiceprints"]
    );
    let matches: Vec<_> = output["voiceprints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|voice| &voice["match"])
        .collect();
    assert_eq!(matches, [&json!("Zoë"), &json!("Bob"), &Value::Null]);

    let body = json!({
        "url": AUDIO, "exclusive": true, "voiceprints": [{ "label": "Zoë", "voiceprint": "AAEC" }],
    });
    let output = self::output(&simulated, "/v1/identify", body).await;
    assert_eq!(
        keys(&output),
        [
            "diarization",
            "exclusiveDiarization",
            "identification",
            "voiceprints"
        ]
    );
}

#[tokio::test]
async fn outputs_depend_on_the_seed() {
    let body = json!({ "url": AUDIO, "transcription": true });
    let made = async |seed| {
        let simulated = Simulated::start(|config| config.with_seed(seed)).await;
        output(&simulated, "/v1/diarize", body.clone()).await
    };
    let one = made(1).await;
    assert_eq!(one, made(1).await);
    assert_ne!(one, made(2).await);
}

#[tokio::test]
async fn a_day_of_audio_is_complete() {
    let simulated =
        Simulated::start(|config| config.with_duration(Duration::from_secs(86_400))).await;
    let body = json!({ "url": AUDIO, "confidence": true });
    let id = simulated.submit("/v1/diarize", body).await;
    simulated.done(&id).await;
    let response = simulated
        .send(reqwest::Method::GET, &format!("/v1/jobs/{id}"), None)
        .await;
    let event = WebhookEvent::new(
        response.bytes().await.unwrap(),
        Delivery::at(SystemTime::now()),
    )
    .unwrap();
    let Some(Output::Diarization(output)) = event.output() else {
        panic!("{event:?}")
    };
    assert_eq!(output.confidence.as_ref().unwrap().score.len(), 4_320_000);
}

#[tokio::test]
async fn output_is_deleted_after_a_day() {
    let simulated = Simulated::start(|config| {
        // A day takes 0.43 s.
        config.with_time_scale(200_000.0)
    })
    .await;
    let id = simulated
        .submit("/v1/voiceprint", json!({ "url": AUDIO }))
        .await;
    assert!(simulated.done(&id).await["output"].is_object());
    let path = format!("/v1/jobs/{id}");
    poll("the deletion", async || {
        simulated.get(&path).await.1.get("output").is_none()
    })
    .await;
    assert_eq!(simulated.get(&path).await.1["status"], "succeeded");
}

#[tokio::test]
async fn bodies_of_a_directory_take_turns_with_the_id_of_the_job() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, body: &str| fs::write(dir.path().join(name), body).unwrap();
    write(
        "b.json",
        r#"{"jobId":"x","status":"succeeded","output":{"diarization":[],"grown":1.50}}"#,
    );
    write(
        "a.json",
        r#"{"status":"succeeded","jobId":"x","output":{"diarization":[],"first":true}}"#,
    );
    write("c.json", r#"{"jobId":"x","status":"failed"}"#);
    write("notes.txt", "none");
    let simulated = Simulated::start(|config| config.with_bodies(dir.path())).await;
    let mut outputs = Vec::new();
    for _ in 0..3 {
        let id = simulated
            .submit("/v1/diarize", json!({ "url": AUDIO }))
            .await;
        let done = simulated.done(&id).await;
        assert_eq!(done["jobId"], json!(id));
        outputs.push(done["output"].clone());
    }
    let (a, b) = (
        json!({ "diarization": [], "first": true }),
        json!({ "diarization": [], "grown": 1.5 }),
    );
    assert_eq!(outputs, [a.clone(), b, a]);
    let made = output(&simulated, "/v1/voiceprint", json!({ "url": AUDIO })).await;
    assert_eq!(keys(&made), ["voiceprint"]);
}

#[tokio::test]
async fn invalid_settings_are_named_in_the_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    type Change = fn(Config, &Path) -> Config;
    let cases: [(Change, &str); 8] = [
        (|config, _| config.with_time_scale(0.0), "the time scale"),
        (
            |config, _| config.with_time_scale(f64::NAN),
            "the time scale",
        ),
        (
            |config, _| config.with_duration(Duration::from_secs(86_401)),
            "the duration",
        ),
        (|config, _| config.with_rate_limit(0), "the rate limit"),
        (
            |config, _| config.with_answer_timeout(Duration::ZERO),
            "the answer timeout",
        ),
        (
            |config, _| config.with_host("no such host"),
            "cannot listen on host no such host, port 0",
        ),
        (
            |config, dir| config.with_bodies(dir),
            "cannot use the bodies in",
        ),
        (
            |config, dir| config.with_data_dir(dir.join("file")),
            "cannot create the data directory",
        ),
    ];
    for (change, named) in cases {
        let config = change(Config::new(secret()), dir.path());
        let error = Simulator::start(config).await.unwrap_err().to_string();
        assert!(error.starts_with(named), "{error}");
        assert!(!error.contains('\n'));
    }
}
