//! `pyannote-simulator trigger`, as a receiver sees it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tower_pyannote::{WebhookEvent, event::Delivery};

use crate::{
    command::{SECRET_NAME, command},
    receiver::{Answer, Receiver, Seen},
    simulated::SECRET,
};

/// Runs the program, and returns its exit code and what it printed.
async fn trigger(args: &[&str], secret: &str) -> (Option<i32>, String) {
    let dir = tempfile::tempdir().unwrap();
    let args = [&["trigger"], args].concat();
    let command = command(dir.path(), &args, &[(SECRET_NAME, secret)]);
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output();
    let output = output.await.unwrap();
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[tokio::test]
async fn each_kind_is_delivered_once_and_signed() {
    for (kind, status, name) in [
        ("diarization", "succeeded", Some("diarization")),
        ("identification", "succeeded", Some("identification")),
        ("voiceprint", "succeeded", Some("voiceprint")),
        ("unknown", "succeeded", Some("unknown")),
        ("status-only", "succeeded", None),
        ("failed", "failed", None),
        ("failed-with-error", "failed", None),
        ("canceled", "canceled", None),
    ] {
        let receiver = Receiver::start([Answer::Verify]).await;
        let (code, printed) = trigger(&[kind, "--url", &receiver.url()], SECRET).await;
        assert_eq!((code, &*printed), (Some(0), "accepted 200: 1\n"), "{kind}");
        let [seen] = receiver.seen().try_into().unwrap();
        let delivery = Delivery::at(std::time::SystemTime::now());
        let event = WebhookEvent::new(seen.body.into(), delivery).unwrap();
        assert_eq!(event.status().as_str(), status);
        assert_eq!(event.kind().map(|kind| kind.as_str()), name);
        assert_eq!(event.error().is_some(), kind == "failed-with-error");
    }
}

#[tokio::test]
async fn answers_are_counted_by_status() {
    let answers = [200, 200, 503, 202, 401].map(Answer::Status);
    let answers = answers
        .into_iter()
        .chain([Answer::Close, Answer::Status(200)]);
    let receiver = Receiver::start(answers).await;
    let (code, printed) = trigger(
        &["failed", "--url", &receiver.url(), "--count", "10"],
        SECRET,
    )
    .await;
    assert_eq!(code, Some(1));
    assert_eq!(
        printed,
        "accepted 200: 6\naccepted 202: 1\nrefused 401: 1\nrefused 503: 1\nunanswered connection_failed: 1\n"
    );
    let mut jobs: Vec<_> = receiver.seen().iter().map(Seen::job).collect();
    jobs.sort();
    jobs.dedup();
    assert_eq!(jobs.len(), 10);
}

#[tokio::test]
async fn wrong_secret_is_refused() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let (code, printed) = trigger(&["canceled", "--url", &receiver.url()], "whs_guess").await;
    assert_eq!((code, &*printed), (Some(1), "refused 401: 1\n"));
}

#[tokio::test]
async fn slow_or_missing_receiver_is_unanswered() {
    let receiver = Receiver::start([Answer::Silence]).await;
    let url = receiver.url();
    let args = ["failed", "--url", &url, "--answer-timeout", "0.2"];
    let (code, printed) = trigger(&args, SECRET).await;
    assert_eq!((code, &*printed), (Some(1), "unanswered http_timeout: 1\n"));
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", nobody.local_addr().unwrap());
    drop(nobody);
    let (code, printed) = trigger(&["failed", "--url", &url], SECRET).await;
    assert_eq!(
        (code, &*printed),
        (Some(1), "unanswered connection_failed: 1\n")
    );
}

#[tokio::test]
async fn bodies_depend_on_the_seed_and_differ_within_a_load() {
    let bodies = async |seed: &str| {
        let receiver = Receiver::start([Answer::Verify]).await;
        let url = receiver.url();
        let args = [
            "identification",
            "--url",
            &url,
            "--count",
            "5",
            "--seed",
            seed,
            "--duration",
            "20",
            "--full",
        ];
        assert_eq!(trigger(&args, SECRET).await.0, Some(0));
        let mut bodies: Vec<_> = receiver.seen().into_iter().map(|seen| seen.body).collect();
        bodies.sort();
        bodies
    };
    let mut one = bodies("1").await;
    assert_eq!(one, bodies("1").await);
    assert_ne!(one, bodies("100").await);
    let body: Value = serde_json::from_slice(&one[0]).unwrap();
    assert!(body["output"]["speakerProbability"].is_object());
    one.dedup();
    assert_eq!(one.len(), 5);
}

#[tokio::test]
async fn rate_is_kept() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let begun = Instant::now();
    let url = receiver.url();
    let args = ["canceled", "--url", &url, "--count", "11", "--rate", "20"];
    assert_eq!(trigger(&args, SECRET).await.0, Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(500));
    let seen = receiver.seen();
    assert!(seen[10].at - seen[0].at >= Duration::from_millis(450));
}
