use std::fmt::Debug;
use std::time::Duration;

use pyannoteai_client::{Client, ClientBuilder, ClientErrorKind, ConfigError, MediaKey, Upload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::server::{Reply, Server};
use crate::{KEY, builder_at};

fn local() -> ClientBuilder {
    keyed(KEY)
}

fn keyed(key: &str) -> ClientBuilder {
    Client::builder(key)
        .with_base_url("http://127.0.0.1:1")
        .unwrap()
}

/// Returns the setting that the error names.
fn setting<T: Debug>(refused: Result<T, ConfigError>) -> &'static str {
    match refused.unwrap_err() {
        ConfigError::InvalidSetting { setting, .. } => setting,
        error => panic!("{error:?}"),
    }
}

#[test]
fn an_invalid_setting_is_an_error_that_names_it() {
    for key in ["", "  ", " sk", "sk\n", "s k", "sk\u{e9}", "sk\0"] {
        assert_eq!(setting(keyed(key).build()), "api key", "{key:?}");
    }
    for url in [
        "",
        "api.pyannote.ai",
        "ftp://127.0.0.1",
        "http://me@127.0.0.1",
        "http://:x@127.0.0.1",
        "http://127.0.0.1/?a",
        "http://127.0.0.1/#a",
    ] {
        assert_eq!(
            setting(Client::builder(KEY).with_base_url(url)),
            "base url",
            "{url}"
        );
    }
    assert_eq!(
        setting(local().with_webhook("http://example.com")),
        "webhook"
    );
    assert_eq!(setting(local().with_rate_limit(0)), "rate limit");
    assert_eq!(setting(local().with_job_limit(0)), "job limit");
    let zero = Duration::ZERO;
    assert_eq!(setting(local().with_timeout(zero)), "timeout");
    assert_eq!(
        setting(local().with_connect_timeout(zero)),
        "connect timeout"
    );
    assert_eq!(setting(local().with_stall_timeout(zero)), "stall timeout");
}

#[tokio::test]
async fn requests_use_the_http_client_that_is_set() {
    let server = Server::start([Reply::new(200, r#"{"status":"OK"}"#)]).await;
    // Reqwest is built without a default provider of TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = pyannoteai_client::reqwest::Client::builder()
        .no_proxy()
        .user_agent("own/1")
        .build()
        .unwrap();
    let client = builder_at(server.url())
        .with_http_client(http)
        .build()
        .unwrap();
    client.test_key().await.unwrap();
    let [request] = &server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.header("user-agent"), Some("own/1"));
    assert_eq!(
        request.header("authorization"),
        Some(&*format!("Bearer {KEY}"))
    );
}

#[test]
fn debug_of_a_config_error_is_its_message() {
    let error = local().with_rate_limit(0).unwrap_err();
    let message = "the client's rate limit is 0: give at least 1 request a minute";
    assert_eq!(error.to_string(), message);
    assert_eq!(format!("{error:?}"), message);
}

#[test]
fn http_to_another_machine_needs_the_insecure_setting() {
    let far = || {
        Client::builder(KEY)
            .with_base_url("http://example.com")
            .unwrap()
    };
    assert_eq!(setting(far().build()), "base url");
    assert!(far().with_insecure_http().build().is_ok());
}

#[test]
fn debug_and_errors_leave_out_the_api_key() {
    let builder = local();
    let client = local().build().unwrap();
    for shown in [
        format!("{builder:?}"),
        format!("{client:?}"),
        format!("{client:#?}"),
    ] {
        assert!(shown.contains("[redacted]"), "{shown}");
        assert!(!shown.contains(&KEY[3..]), "{shown}");
    }
    let error = Client::builder(format!(" {KEY}")).build().unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&KEY[3..]));
    let error = Client::builder(KEY)
        .with_base_url(format!("http://me:{KEY}@127.0.0.1"))
        .unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&KEY[3..]));
}

#[test]
fn public_types_and_futures_can_be_sent_between_threads() {
    fn sendable<T: Send + Sync>() {}
    fn future<F: Future + Send>(_: impl Fn(&'static Client) -> F) {}
    sendable::<Client>();
    sendable::<pyannoteai_client::JobWaiter>();
    sendable::<pyannoteai_client::PendingJob>();
    sendable::<pyannoteai_client::ClientError>();
    future(|client| client.test_key());
    future(|client| client.diarize(crate::diarize()));
    future(|client| client.job("a"));
}

#[tokio::test]
async fn an_https_url_is_only_contacted_with_tls() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let storage = format!("https://{}/x", listener.local_addr().unwrap());
    let api = Server::start([Reply::new(201, format!(r#"{{"url":"{storage}"}}"#))]).await;
    let received = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 3];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        first
    });
    let client = builder_at(api.url()).build().unwrap();
    let upload = Upload::from_bytes("RIFF").unwrap();
    let error = client
        .upload(MediaKey::new("a").unwrap(), upload)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Connect);
    assert_eq!(
        received.await.unwrap(),
        [0x16, 0x03, 0x01],
        "the start of a TLS handshake"
    );
}
