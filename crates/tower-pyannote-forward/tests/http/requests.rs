//! What arrives at an endpoint.

use std::time::{Duration, UNIX_EPOCH};

use metrics_util::debugging::DebugValue;
use tower_pyannote::{
    Kind, SigningKey, Status, WebhookEvent, WebhookSecret, clock::ManualClock, event::Delivery,
};
use tower_pyannote_forward::{EventFilter, Forward, SigningSecret};
use tower_pyannote_test_support::{bodies, observe::observe};
use tracing::Level;

use crate::endpoint::{Endpoint, event, failed};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(text).unwrap()
}

#[tokio::test]
async fn bodies_of_every_kind_arrive_byte_for_byte_with_their_attributes() {
    let endpoint = Endpoint::accepting().await;
    let forward = endpoint.forward().build().unwrap();
    let mut bodies = bodies::of_each_kind();
    // A body of more than a mebibyte is signed on the pool.
    bodies.push((
        "diarization",
        "succeeded",
        bodies::diarization("large", 3 << 20),
    ));
    for (_, _, body) in &bodies {
        forward.send(&event(body.clone())).await.unwrap();
    }
    let requests = endpoint.requests();
    assert_eq!(requests.len(), bodies.len());
    for (request, (kind, status, body)) in requests.iter().zip(bodies) {
        assert_eq!(request.body, body);
        assert_eq!(request.path, "/events");
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header("content-length"), body.len().to_string());
        assert_eq!(
            request.header("ce-type"),
            format!("ai.pyannote.{kind}.{status}")
        );
        let job_id = event(body).job_id().to_owned();
        assert_eq!(request.header("webhook-id"), format!("{job_id}:{status}"));
        assert_eq!(request.header("ce-id"), format!("{job_id}:{status}"));
        assert_eq!(request.header("ce-subject"), job_id);
        // Without a secret there is nothing that looks like a signature.
        for name in ["webhook-signature", "webhook-timestamp", "x-signature"] {
            assert!(!request.headers.contains_key(name), "{name}");
        }
    }
}

#[tokio::test]
async fn every_secret_signs_the_time_of_the_attempt() {
    let endpoint = Endpoint::answering(&[503, 204]).await;
    let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let clock = ManualClock::new(now);
    let old = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let pyannote = WebhookSecret::new("whs_of_the_endpoint").unwrap();
    let forward = endpoint
        .forward()
        .add_secret(secret(WHSEC))
        .add_secret(secret(old))
        .with_pyannote_secret(&pyannote)
        .with_clock(clock.clone())
        .build()
        .unwrap();
    let received_at = now - Duration::from_secs(3600);
    let body = r#"{"jobId":"job-1","status":"failed"}"#;
    let event = WebhookEvent::new(body.into(), Delivery::at(received_at)).unwrap();
    forward.send(&event).await.unwrap_err();
    clock.advance(Duration::from_secs(30));
    forward.send(&event).await.unwrap();

    let requests = endpoint.requests();
    for (request, timestamp) in requests.iter().zip(["1767225600", "1767225630"]) {
        assert_eq!(request.header("webhook-id"), "job-1:failed");
        assert_eq!(request.header("webhook-timestamp"), timestamp);
        assert_eq!(request.header("ce-time"), "2025-12-31T23:00:00Z");
        let signed = format!("job-1:failed.{timestamp}.{body}");
        let signature = |key: &[u8]| {
            let mac = hmac_sha256::HMAC::mac(&signed, key);
            format!("v1,{}", base64(&mac))
        };
        let expected = [
            signature(&decoded(WHSEC)),
            signature(&(0..24).collect::<Vec<u8>>()),
        ];
        assert_eq!(request.header("webhook-signature"), expected.join(" "));
        assert_eq!(request.header("x-request-timestamp"), timestamp);
        let key = SigningKey::new(&pyannote);
        let expected = key.sign(timestamp, body.as_bytes()).to_hex();
        assert_eq!(request.header("x-signature"), expected);
    }
}

#[tokio::test]
async fn hostile_job_id_makes_one_valid_header() {
    let endpoint = Endpoint::accepting().await;
    let forward = endpoint
        .forward()
        .add_secret(secret(WHSEC))
        .build()
        .unwrap();
    let long = "\u{1f3a4}".repeat(100_000);
    for job_id in ["a\r\nx-injected: 1", "a.b.c", "\u{0}", &long] {
        let body = serde_json::json!({"jobId": job_id, "status": "succeeded"}).to_string();
        forward.send(&event(body)).await.unwrap();
    }
    let requests = endpoint.requests();
    let ids: Vec<_> = requests
        .iter()
        .map(|request| request.header("webhook-id"))
        .collect();
    assert_eq!(
        ids[..3],
        [
            "a%0D%0Ax-injected%3A%201:succeeded",
            "a%2Eb%2Ec:succeeded",
            "%00:succeeded"
        ]
    );
    assert_eq!(ids[3].len(), "~".len() + 64 + ":succeeded".len());
    assert_eq!(requests[0].header("ce-subject"), "a%0D%0Ax-injected:%201");
    assert!(!requests[3].headers.contains_key("ce-subject"));
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.contains_key("x-injected"))
    );
}

#[tokio::test]
async fn only_events_that_the_filter_accepts_are_sent() {
    let endpoint = Endpoint::accepting().await;
    let filter = EventFilter::new()
        .with_kinds([Some(Kind::Diarization), None])
        .with_statuses([Status::Succeeded]);
    let forward = endpoint.forward().with_filter(filter).build().unwrap();
    for (_, _, body) in bodies::of_each_kind() {
        forward.send(&event(body)).await.unwrap();
    }
    let types: Vec<_> = endpoint
        .requests()
        .iter()
        .map(|request| request.header("ce-type").to_owned())
        .collect();
    assert_eq!(
        types,
        [
            "ai.pyannote.none.succeeded",
            "ai.pyannote.diarization.succeeded",
            "ai.pyannote.diarization.succeeded"
        ]
    );
}

#[tokio::test]
async fn connection_is_used_again() {
    // The body of an answer is read, also that of an error.
    let endpoint = Endpoint::start(|number| async move {
        let code = if number == 1 { 503 } else { 200 };
        (
            axum::http::StatusCode::from_u16(code).unwrap(),
            "x".repeat(10_000),
        )
    })
    .await;
    let forward = endpoint.forward().build().unwrap();
    for _ in 0..4 {
        let _ = forward.send(&failed()).await;
    }
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|request| request.peer == requests[0].peer)
    );
}

#[test]
fn secrets_and_the_path_are_in_no_log_and_no_debug() {
    let mut shown = String::new();
    let (metrics, log) = observe(Level::DEBUG, async || {
        let endpoint = Endpoint::answering(&[204, 500]).await;
        let url = format!("{}/token-in-path?key=token-in-query", endpoint.url());
        let builder = Forward::to(url)
            .with_name("crm")
            .with_allow_private(true)
            .add_secret(secret(WHSEC))
            .with_pyannote_secret(&WebhookSecret::new("whs_of_the_endpoint").unwrap())
            .add_header("authorization", "Bearer token-in-header")
            .unwrap();
        shown += &format!("{builder:?}");
        let forward = builder.build().unwrap();
        shown += &format!("{forward:?}");
        forward.send(&failed()).await.unwrap();
        let error = forward.send(&failed()).await.unwrap_err();
        shown += &format!("{error} {error:?}");
        let requests = endpoint.requests();
        assert_eq!(
            requests[0].header("authorization"),
            "Bearer token-in-header"
        );
        for secret in ["webhook-signature", "x-signature"] {
            shown += &format!("{secret}:");
            assert!(!shown.contains(requests[0].header(secret)));
        }
    });
    let shown = shown + &log;
    for secret in ["MfKQ9r8", "whs_of", "token-in", "v1,"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    for outcome in ["sent", "failed"] {
        let series = format!("pyannote_webhook_forwards_total{{endpoint=crm,outcome={outcome}}}");
        assert_eq!(metrics[&series], DebugValue::Counter(1), "{outcome}");
    }
}

fn decoded(secret: &str) -> Vec<u8> {
    use base64ct::{Base64, Encoding};
    Base64::decode_vec(secret.strip_prefix("whsec_").unwrap()).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}
