//! Which addresses a request may reach.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    process::Command,
    sync::{Arc, Mutex},
};

use axum::http::{StatusCode, header};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tower_pyannote_forward::{Forward, reqwest};

use crate::endpoint::{Endpoint, failed};

/// Gives each lookup its next answer, and the last one again.
struct Answers(Mutex<VecDeque<SocketAddr>>);

impl Answers {
    fn of(addresses: &[&str]) -> Arc<Self> {
        let addresses = addresses
            .iter()
            .map(|address| (address.parse::<std::net::IpAddr>().unwrap(), 0).into());
        Arc::new(Self(Mutex::new(addresses.collect())))
    }
}

impl Resolve for Answers {
    fn resolve(&self, _: Name) -> Resolving {
        let mut answers = self.0.lock().unwrap();
        let address = answers[0];
        if answers.len() > 1 {
            answers.pop_front();
        }
        Box::pin(std::future::ready(Ok(
            Box::new(std::iter::once(address)) as Addrs
        )))
    }
}

fn text_of(error: &tower_pyannote::HandlerError) -> String {
    let mut text = error.to_string();
    let mut source = error.as_error().source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn name_that_changes_to_a_private_address_is_refused() {
    // 127.0.0.1 stands for a public address, and the connection is closed, so that the name is asked again.
    let endpoint =
        Endpoint::start(|_| async { (StatusCode::OK, [(header::CONNECTION, "close")]) }).await;
    let url = format!("http://rebound.example:{}/", endpoint.address.port());
    let forward = Forward::to(url)
        .add_allowed_network("127.0.0.1/32")
        .unwrap()
        .with_resolver(Answers::of(&["127.0.0.1", "127.0.0.2"]))
        .build()
        .unwrap();
    forward.send(&failed()).await.unwrap();
    let error = forward.send(&failed()).await.unwrap_err();
    assert!(!error.is_permanent());
    let text = text_of(&error);
    assert!(
        text.contains("the address 127.0.0.2 is not allowed"),
        "{text}"
    );
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn name_with_an_inner_address_is_refused_unless_allowed() {
    let cases = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "::1",
        "fd00:ec2::254",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "224.0.0.1",
    ];
    for address in cases {
        let forward = Forward::to("https://inward.example/")
            .with_resolver(Answers::of(&[address]))
            .build()
            .unwrap();
        let text = text_of(&forward.send(&failed()).await.unwrap_err());
        assert!(
            text.contains(" is not allowed: check the DNS of the name"),
            "{address}: {text}"
        );
    }
    let endpoint = Endpoint::accepting().await;
    let forward = Forward::to(format!(
        "http://inward.example:{}/",
        endpoint.address.port()
    ))
    .with_allow_private(true)
    .with_resolver(Answers::of(&["127.0.0.1"]));
    forward.build().unwrap().send(&failed()).await.unwrap();
    assert_eq!(endpoint.count(), 1);
}

#[tokio::test]
async fn name_of_this_machine_is_refused_by_the_resolver_of_the_system() {
    let forward = Forward::to("https://localhost:9/").build().unwrap();
    let text = text_of(&forward.send(&failed()).await.unwrap_err());
    assert!(
        text.contains(" is not allowed: check the DNS of the name"),
        "{text}"
    );
}

#[tokio::test]
async fn plain_http_reaches_no_public_address() {
    let forward = Forward::to("http://public.example/")
        .with_allow_private(true)
        .with_resolver(Answers::of(&["8.8.8.8"]));
    let text = text_of(&forward.build().unwrap().send(&failed()).await.unwrap_err());
    assert!(
        text.contains("the address 8.8.8.8 is not allowed"),
        "{text}"
    );
}

/// Runs in a process of its own, whose environment names a proxy.
#[tokio::test]
async fn proxy_of_the_environment_is_used_only_on_demand() {
    if std::env::var_os(CHILD).is_some() {
        let url = std::env::var("ENDPOINT").unwrap();
        for system_proxy in [false, true] {
            let forward = Forward::to(&url)
                .with_allow_private(true)
                .with_system_proxy(system_proxy);
            forward.build().unwrap().send(&failed()).await.unwrap();
        }
        return;
    }
    let (endpoint, proxy) = (Endpoint::accepting().await, Endpoint::accepting().await);
    let test = "addresses::proxy_of_the_environment_is_used_only_on_demand";
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", test])
        .env(CHILD, "1")
        .env("ENDPOINT", endpoint.url())
        .env("http_proxy", format!("http://{}", proxy.address))
        .env_remove("no_proxy")
        .env_remove("NO_PROXY");
    let ended = tokio::task::spawn_blocking(move || child.output().unwrap())
        .await
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!([endpoint.count(), proxy.count()], [1, 1]);
}

const CHILD: &str = "FORWARD_TEST_CHILD";
