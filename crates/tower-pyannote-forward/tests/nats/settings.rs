//! Settings that are refused, and what must exist.

use std::time::Duration;

use tower_pyannote_forward::async_nats::{ConnectOptions, jetstream::stream::Config};
use tower_pyannote_forward::{NatsBuilder, NatsPublisher, Relay};
use tower_pyannote_test_support::bodies;

use crate::{
    messages::event,
    server::{STREAM, Server},
};

fn to(url: &str, stream: &str) -> NatsBuilder {
    Relay::nats(url, stream)
}

#[test]
fn setting_that_cannot_be_used_is_refused_and_named() {
    let nats = || to("nats://127.0.0.1", STREAM);
    let name = "is not a name of 1 to 200 ASCII letters, digits, - and _";
    let url = "the url is not the URL of a NATS server: give one like nats://127.0.0.1:4222";
    let window = "the duplicate window must be at least 100 ms, and at most as long as the max_age";
    let cases = [
        (to("nats://127.0.0.1", ""), format!("the stream {name}")),
        (to("nats://127.0.0.1", "A.B"), format!("the stream {name}")),
        (nats().with_bucket("a b"), format!("the bucket {name}")),
        (
            nats().with_subject("pyannote.>"),
            format!("the subject {name}"),
        ),
        (
            to("https://user:secret@example.com", STREAM),
            url.to_owned(),
        ),
        (to("nats://a, http://b", STREAM), url.to_owned()),
        (
            nats().with_timeout(Duration::ZERO),
            "the timeout is zero: give a longer time".to_owned(),
        ),
        (
            nats().with_duplicate_window(Duration::ZERO),
            window.to_owned(),
        ),
        (
            nats().with_max_age(Duration::from_secs(60)),
            window.to_owned(),
        ),
    ];
    for (builder, expected) in cases {
        assert_eq!(builder.build().unwrap_err().to_string(), expected);
    }
    for url in [
        "nats://127.0.0.1:4222",
        "tls://user:secret@a,tls://b",
        "127.0.0.1",
    ] {
        let builder = to(url, STREAM);
        assert!(!format!("{builder:?}").contains("secret"));
        assert!(builder.build().is_ok(), "{url}");
    }
}

#[tokio::test]
async fn stream_and_bucket_are_not_created_unless_wanted() {
    let Some(server) = Server::start("max_payload: 4096") else {
        return;
    };
    let error = to(&server.url(), STREAM).connect().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no stream PYANNOTE: create it, or set create_if_absent"
    );
    let config = Config {
        name: STREAM.to_owned(),
        subjects: vec!["pyannote.>".to_owned()],
        ..Default::default()
    };
    server.context().await.create_stream(config).await.unwrap();
    let relay = to(&server.url(), STREAM).connect().await.unwrap();
    relay
        .publish(&event(bodies::status_only("a")))
        .await
        .unwrap();
    let large = event(bodies::diarization("b", 5_000));
    let error = relay.publish(&large).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no bucket PYANNOTE-bodies for a body over the server's max_payload: create it, or set create_if_absent"
    );
    assert!(!error.is_permanent());
    assert_eq!(server.count().await, 1);
}

#[tokio::test]
async fn other_stream_with_the_same_subject_does_not_take_the_message() {
    let Some(server) = Server::start("") else {
        return;
    };
    let stream = |name: &str, subject: &str| Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        ..Default::default()
    };
    let context = server.context().await;
    context.create_stream(stream(STREAM, "mine")).await.unwrap();
    context
        .create_stream(stream("OTHER", "pyannote.>"))
        .await
        .unwrap();
    let relay = to(&server.url(), STREAM).connect().await.unwrap();
    let error = relay
        .publish(&event(bodies::status_only("a")))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the stream PYANNOTE did not take the message"
    );
    let other = context.get_stream("OTHER").await.unwrap();
    assert_eq!(other.cached_info().state.messages, 0);
}

#[tokio::test]
async fn stream_is_found_and_not_created() {
    let Some(server) = Server::start("") else {
        return;
    };
    let relay = || to(&server.url(), STREAM).with_create_if_absent(true);
    assert!(!relay().has_stream().await.unwrap());
    assert!(!relay().has_stream().await.unwrap());
    let _ = relay().connect().await.unwrap();
    assert!(relay().has_stream().await.unwrap());
}

#[tokio::test]
async fn user_of_the_url_and_client_of_the_caller_connect() {
    let Some(server) = Server::start(r#"authorization { user: "app", password: "secret" }"#) else {
        return;
    };
    let url = server.url().replace("nats://", "nats://app:secret@");
    let relay = to(&url, STREAM)
        .with_create_if_absent(true)
        .connect()
        .await
        .unwrap();
    relay
        .publish(&event(bodies::status_only("a")))
        .await
        .unwrap();

    let options = ConnectOptions::with_user_and_password("app".into(), "secret".into());
    let client = options.connect(server.url()).await.unwrap();
    let relay = NatsPublisher::over(client, STREAM).connect().await.unwrap();
    relay
        .publish(&event(bodies::status_only("b")))
        .await
        .unwrap();
    assert!(!format!("{relay:?}").contains("secret"));

    let wrong = server.url().replace("nats://", "nats://app:of-nobody@");
    let error = to(&wrong, STREAM).connect().await.unwrap_err();
    assert_eq!(error.to_string(), "cannot connect to the NATS server");
    assert!(!format!("{error:?}").contains("of-nobody"));
    let cause = error.as_error().source().unwrap().to_string();
    assert_eq!(
        cause,
        "the server refuses the user, the password or the token"
    );
}
