//! What is in the stream after an event was published.

use std::{collections::BTreeMap, time::SystemTime};

use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tower_pyannote::{HandlerError, Kind, Status, WebhookEvent, event::Delivery};
use tower_pyannote_forward::{
    EventFilter, NatsPublisher, Relay,
    async_nats::jetstream::{message::StreamMessage, stream::Config},
};
use tower_pyannote_test_support::bodies;

use crate::server::{BUCKET, STREAM, Server};

pub(crate) fn event(body: impl Into<Vec<u8>>) -> WebhookEvent {
    let delivery = Delivery::at(SystemTime::UNIX_EPOCH);
    WebhookEvent::new(body.into().into(), delivery).unwrap()
}

async fn relay(server: &Server) -> Relay<NatsPublisher> {
    let relay = Relay::nats(server.url(), STREAM).with_create_if_absent(true);
    relay.connect().await.unwrap()
}

async fn message(server: &Server, sequence: u64) -> StreamMessage {
    server
        .stream()
        .await
        .get_raw_message(sequence)
        .await
        .unwrap()
}

/// Returns the body of an object.
async fn object(server: &Server, name: &str) -> Vec<u8> {
    let context = server.context().await;
    let bucket = context.get_object_store(BUCKET).await.unwrap();
    let mut body = Vec::new();
    let mut object = bucket.get(name).await.unwrap();
    object.read_to_end(&mut body).await.unwrap();
    body
}

fn headers(message: &StreamMessage) -> BTreeMap<String, String> {
    let headers = message.headers.iter();
    headers
        .map(|(name, values)| (name.to_string(), values[0].to_string()))
        .collect()
}

#[tokio::test]
async fn message_has_the_body_its_attributes_and_a_subject_of_fixed_words() {
    let Some(server) = Server::start("") else {
        return;
    };
    let relay = relay(&server).await;
    let bodies = [
        (
            r#"{"jobId":"job-1","status":"succeeded","output":{"diarization":[]}}"#,
            "diarization.succeeded",
        ),
        (r#"{"jobId":"job-1","status":"failed"}"#, "none.failed"),
        (r#"{"jobId":"a.b > *","status":"x.>"}"#, "none.other"),
    ];
    for (number, (body, topic)) in bodies.iter().enumerate() {
        relay.publish(&event(*body)).await.unwrap();
        let message = message(&server, number as u64 + 1).await;
        assert_eq!(message.subject.as_str(), format!("pyannote.{topic}"));
        assert_eq!(message.payload, body);
        assert_eq!(headers(&message)["ce-type"], format!("ai.pyannote.{topic}"));
    }
    let expected = [
        ("Nats-Expected-Stream", "PYANNOTE"),
        ("Nats-Msg-Id", "job-1:succeeded"),
        ("ce-id", "job-1:succeeded"),
        ("ce-source", "https://api.pyannote.ai"),
        ("ce-specversion", "1.0"),
        ("ce-subject", "job-1"),
        ("ce-time", "1970-01-01T00:00:00Z"),
        ("ce-type", "ai.pyannote.diarization.succeeded"),
        ("content-type", "application/json"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(
        headers(&message(&server, 1).await),
        BTreeMap::from(expected)
    );
}

#[tokio::test]
async fn event_that_is_published_again_is_one_message_and_one_object() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let relay = relay(&server).await;
    let large = bodies::diarization("large", 10_000);
    let mut objects = Vec::new();
    for _ in 0..3 {
        for body in [bodies::status_only("small"), large.clone()] {
            relay.publish(&event(body)).await.unwrap();
        }
        let bucket = server
            .context()
            .await
            .get_object_store("PYANNOTE-bodies")
            .await
            .unwrap();
        objects.push(bucket.info("large:succeeded").await.unwrap().nuid);
    }
    assert_eq!(server.count().await, 2);
    // An object that was replaced would have another id.
    assert!(objects.iter().all(|nuid| *nuid == objects[0]));

    let message = message(&server, 2).await;
    assert_eq!(message.payload.len(), 0);
    let headers = headers(&message);
    let digest = base16ct::lower::encode_string(&Sha256::digest(&large));
    for (name, value) in [
        ("pyannote-object-bucket", "PYANNOTE-bodies"),
        ("pyannote-object-name", "large:succeeded"),
        ("pyannote-object-size", &large.len().to_string()),
        ("pyannote-object-sha256", &digest),
    ] {
        assert_eq!(headers[name], value);
    }
    assert_eq!(object(&server, "large:succeeded").await, large);
}

#[tokio::test]
async fn object_without_all_its_chunks_is_stored_again() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let relay = relay(&server).await;
    let body = bodies::diarization("large", 10_000);
    relay.publish(&event(body.clone())).await.unwrap();
    let context = server.context().await;
    let stream = context.get_stream(format!("OBJ_{BUCKET}")).await.unwrap();
    stream.delete_message(2).await.unwrap();
    relay.publish(&event(body.clone())).await.unwrap();
    assert_eq!(object(&server, "large:succeeded").await, body);
}

#[tokio::test]
async fn other_body_of_an_event_replaces_the_object_and_its_chunks() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let relay = relay(&server).await;
    for least in [10_000, 20_000] {
        let body = bodies::diarization("large", least);
        relay.publish(&event(body.clone())).await.unwrap();
        assert_eq!(object(&server, "large:succeeded").await, body);
        let context = server.context().await;
        let stream = context.get_stream(format!("OBJ_{BUCKET}")).await.unwrap();
        let chunks = body.len().div_ceil(2_048) as u64;
        assert_eq!(stream.cached_info().state.messages, chunks + 1);
    }
}

#[tokio::test]
async fn uploads_of_an_event_at_the_same_time_leave_one_whole_object() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let relays = [relay(&server).await, relay(&server).await];
    let body = bodies::diarization("large", 500_000);
    let event = event(body.clone());
    let publish = async |relay: &Relay<NatsPublisher>, pause| {
        // As the inbox does: until it succeeds.
        while relay.publish(&event).await.is_err() {
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
    };
    tokio::join!(publish(&relays[0], 1), publish(&relays[1], 50));
    assert_eq!(object(&server, "large:succeeded").await, body);
    assert_eq!(server.count().await, 1);
}

#[tokio::test]
async fn body_around_the_limit_of_the_server_is_published_whole_or_as_an_object() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let relay = relay(&server).await;
    let mut kinds = Vec::new();
    for length in (3_600..=4_100).step_by(10) {
        let body = tower_pyannote_test_support::delivery::event_of(length);
        let body = String::from_utf8(body.to_vec()).unwrap();
        let body = body.replacen("job-1", &format!("j{length}"), 1);
        relay.publish(&event(body.clone())).await.unwrap();
        let message = message(&server, kinds.len() as u64 + 1).await;
        let is_object = message.headers.get("pyannote-object-name").is_some();
        assert_eq!(
            message.payload.len(),
            if is_object { 0 } else { body.len() },
            "{length}"
        );
        kinds.push(is_object);
    }
    assert!(!kinds[0] && kinds[kinds.len() - 1]);
    assert!(kinds.is_sorted());
}

#[tokio::test]
async fn body_over_the_limit_of_the_stream_is_an_object() {
    let Some(server) = Server::start("") else {
        return;
    };
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec!["pyannote.>".to_owned()],
        max_message_size: 2_000,
        ..Default::default()
    };
    server.context().await.create_stream(config).await.unwrap();
    let relay = relay(&server).await;
    for least in [500, 3_000] {
        relay
            .publish(&event(bodies::diarization(&format!("j{least}"), least)))
            .await
            .unwrap();
    }
    assert!(message(&server, 1).await.payload.len() >= 500);
    assert_eq!(
        message(&server, 2)
            .await
            .headers
            .get("pyannote-object-name")
            .unwrap()
            .as_str(),
        "j3000:succeeded"
    );
}

#[tokio::test]
async fn only_events_that_the_filter_accepts_are_published() {
    let Some(server) = Server::start("") else {
        return;
    };
    let filter = EventFilter::new()
        .with_kinds([Some(Kind::Voiceprint)])
        .with_statuses([Status::Succeeded]);
    let relay = relay(&server)
        .await
        .with_filter(filter)
        .with_source("/mine")
        .unwrap();
    for (_, _, body) in bodies::of_each_kind() {
        relay.publish(&event(body)).await.unwrap();
    }
    assert_eq!(server.count().await, 1);
    let message = message(&server, 1).await;
    assert_eq!(message.subject.as_str(), "pyannote.voiceprint.succeeded");
    assert_eq!(headers(&message)["ce-source"], "/mine");
}

#[tokio::test]
async fn server_that_is_away_is_a_retryable_error_and_comes_back() {
    let Some(mut server) = Server::start("") else {
        return;
    };
    let relay = Relay::nats(server.url(), STREAM)
        .with_create_if_absent(true)
        .with_timeout(std::time::Duration::from_millis(300));
    let relay = relay.build().unwrap();
    server.kill();
    let error: HandlerError = relay
        .publish(&event(bodies::status_only("a")))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to the NATS server");
    assert!(!error.is_permanent());
    server.restart();
    relay
        .publish(&event(bodies::status_only("a")))
        .await
        .unwrap();

    server.kill();
    let error = relay
        .publish(&event(bodies::status_only("b")))
        .await
        .unwrap_err();
    assert!(!error.is_permanent());
    server.restart();
    // Bounded: the client connects again by itself.
    let again = async {
        while relay
            .publish(&event(bodies::status_only("b")))
            .await
            .is_err()
        {}
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), again)
        .await
        .unwrap();
    assert_eq!(server.count().await, 2);
}
