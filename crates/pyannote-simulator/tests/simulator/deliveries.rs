use std::time::Duration;

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tower_pyannote::{Signature, verify::SignatureEncoding};

use crate::{
    receiver::{Answer, Receiver},
    simulated::Simulated,
};

#[tokio::test]
async fn webhook_is_signed_and_sent_once() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| config).await;
    let id = simulated.diarize(&receiver.url()).await;
    let job = simulated.delivered(&id).await;
    assert_eq!(
        (&job["delivery"], &job["status"]),
        (&json!("delivered"), &json!("succeeded"))
    );
    assert_eq!(job["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(job["attempts"][0]["status"], 200);

    let [seen] = receiver.seen().try_into().unwrap();
    assert_eq!(seen.verify(), Ok(()));
    assert_eq!(seen.job(), id);
    assert_eq!(seen.retry(), (None, None));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    let body: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    let keys: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["jobId", "output", "status"]);
}

#[tokio::test]
async fn status_only_webhook_has_no_output_but_the_api_has() {
    let receiver = Receiver::start([Answer::Verify]).await;
    let simulated = Simulated::start(|config| config).await;
    let body = json!({
        "url": "https://example.com/a.wav", "webhook": receiver.url(), "webhookStatusOnly": true,
    });
    let id = simulated.submit("/v1/voiceprint", body).await;
    simulated.delivered(&id).await;
    let expected = format!("{{\"jobId\":\"{id}\",\"status\":\"succeeded\"}}");
    assert_eq!(receiver.seen()[0].body, expected.as_bytes());
    let output = &simulated.done(&id).await["output"];
    assert!(output["voiceprint"].is_string());
}

#[tokio::test]
async fn retries_follow_the_schedule_divided_by_the_time_scale() {
    let answers = [500, 404, 301, 503].map(Answer::Status);
    let receiver = Receiver::start(answers).await;
    let simulated = Simulated::start(|config| config.with_time_scale(600.0)).await;
    let id = simulated.diarize(&receiver.url()).await;
    let job = simulated.delivered(&id).await;
    assert_eq!(job["delivery"], "lost");

    let seen = receiver.seen();
    let retries: Vec<_> = seen.iter().map(|seen| seen.retry()).collect();
    let error = Some("http_error");
    assert_eq!(
        retries,
        [
            (None, None),
            (Some("1"), error),
            (Some("2"), error),
            (Some("3"), error)
        ]
    );
    let gaps: Vec<_> = seen.windows(2).map(|two| two[1].at - two[0].at).collect();
    assert!(gaps[1] >= Duration::from_millis(100), "{gaps:?}");
    assert!(gaps[2] >= Duration::from_millis(500), "{gaps:?}");
    assert!(gaps[0] < gaps[1] && gaps[1] < gaps[2], "{gaps:?}");
    for seen in &seen {
        assert_eq!(seen.verify(), Ok(()));
    }
    let noted = job["attempts"].as_array().unwrap();
    let statuses: Vec<_> = noted.iter().map(|attempt| &attempt["status"]).collect();
    assert_eq!(statuses, [500, 404, 301, 503]);
}

#[tokio::test]
async fn retry_reason_names_the_cause() {
    for (answer, reason, requests) in [
        (Answer::Status(500), "http_error", 1),
        (Answer::Silence, "http_timeout", 1),
        // The first request, and two redirects.
        (Answer::Redirect, "too_many_redirects", 3),
        (Answer::Close, "connection_failed", 1),
        (Answer::Garbage, "unknown_error", 1),
    ] {
        let answers = std::iter::repeat_n(answer, requests).chain([Answer::Verify]);
        let receiver = Receiver::start(answers).await;
        let simulated =
            Simulated::start(|config| config.with_answer_timeout(Duration::from_secs(2))).await;
        let id = simulated.diarize(&receiver.url()).await;
        let job = simulated.delivered(&id).await;
        assert_eq!(job["delivery"], "delivered", "{reason}");
        let seen = receiver.seen();
        assert_eq!(seen.len(), requests + 1, "{reason}");
        assert_eq!(seen[requests].retry(), (Some("1"), Some(reason)));
    }
}

#[tokio::test]
async fn receiver_without_tls_is_an_ssl_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // Read everything, because a reset could discard the answer.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let simulated = Simulated::start(|config| config).await;
    let id = simulated.diarize(&url).await;
    let job = simulated.delivered(&id).await;
    let attempts = job["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 4);
    for attempt in attempts {
        assert_eq!(attempt["failure"], "ssl_error");
    }
    assert_eq!(attempts[1]["reason"], "ssl_error");
}

#[tokio::test]
async fn two_redirects_are_followed() {
    let answers = [Answer::Redirect, Answer::Redirect, Answer::Verify];
    let receiver = Receiver::start(answers).await;
    let simulated = Simulated::start(|config| config).await;
    let id = simulated.diarize(&receiver.url()).await;
    let job = simulated.delivered(&id).await;
    assert_eq!(job["attempts"].as_array().unwrap().len(), 1);
    assert_eq!(receiver.seen().len(), 3);
}

#[tokio::test]
async fn signature_has_the_configured_encoding_and_prefix() {
    for (encoding, prefix) in [
        (SignatureEncoding::Hex, true),
        (SignatureEncoding::Base64, false),
    ] {
        let receiver = Receiver::start([Answer::Verify]).await;
        let simulated =
            Simulated::start(|config| config.with_encoding(encoding).with_version_prefix(prefix))
                .await;
        let id = simulated.diarize(&receiver.url()).await;
        assert_eq!(simulated.delivered(&id).await["delivery"], "delivered");
        let seen = receiver.seen().remove(0);
        let signature = seen.header("x-signature").unwrap();
        assert_eq!(signature.starts_with("v0="), prefix);
        let signature = Signature::parse(signature.as_bytes()).unwrap();
        assert_eq!(signature.encoding(), encoding);
    }
}

#[tokio::test]
async fn sign_once_repeats_timestamp_and_signature() {
    let receiver = Receiver::start([Answer::Status(500)]).await;
    let simulated = Simulated::start(|config| {
        // The last attempt comes more than a second after the first.
        config.with_sign_once(true).with_time_scale(200.0)
    })
    .await;
    let id = simulated.diarize(&receiver.url()).await;
    simulated.delivered(&id).await;
    let seen = receiver.seen();
    assert_eq!(seen.len(), 4);
    for name in ["x-request-timestamp", "x-signature"] {
        assert!(
            seen.iter()
                .all(|one| one.header(name) == seen[0].header(name))
        );
    }
}
