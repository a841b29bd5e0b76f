//! Consumers in Python, Node and Go. The test kills and restarts their processes while events arrive.
#![cfg(unix)]

mod consumer;
#[path = "../guide/mod.rs"]
mod guide;

use std::{collections::HashMap, path::Path, time::Duration};

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tower_pyannote::{HandlerRegistry, WebhookEvent, WebhookSecret, event::Delivery};
use tower_pyannote_forward::{Forward, ForwardBuilder, SigningSecret, event_key};
use tower_pyannote_inbox::{Commit, Inbox};
use tower_pyannote_test_support::{bodies, language};

use self::consumer::Consumer;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_WHSEC: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
const WHS: &str = "whs_of_the_endpoint";

/// The requests to one endpoint at a time, all of which a killed consumer may have printed without an answer.
const IN_FLIGHT: usize = 4;

#[tokio::test]
async fn consumers_in_other_languages_get_every_event_also_if_they_are_killed() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers");
    let requirements = here.join("requirements.txt");
    let Some(python) = language::python(&target.join("forward-python"), &requirements) else {
        return;
    };
    let modules = target.join("forward-node");
    let Some(node) = language::node(&modules, "standardwebhooks@1.1.1") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let code = guide::block("Go", "go");
    let Some(go) = language::go(&target.join("forward-go"), &code) else {
        return;
    };
    let read = |file| std::fs::read_to_string(here.join(file)).unwrap();
    let uvicorn =
        |name, code: String, env| Consumer::uvicorn(&python, dir.path(), name, &code, env);
    let mut consumers = [
        uvicorn(
            "guide",
            guide::block("Python", "python"),
            ("FORWARD_SECRET", WHSEC),
        ),
        uvicorn(
            "pyannote",
            read("pyannote_signature.py"),
            ("PYANNOTEAI_WEBHOOK_SECRET", WHS),
        ),
        uvicorn("cloud_events", read("cloud_events.py"), ("UNUSED", "")),
        // It has the old secret, while the endpoint changes from the old one to the new one.
        Consumer::node(
            &node,
            dir.path(),
            &modules,
            &guide::block("Node", "js"),
            ("FORWARD_SECRET", OLD_WHSEC),
        ),
        Consumer::program("go", dir.path(), &go, ("FORWARD_SECRET", WHSEC)),
    ];

    let inbox = Inbox::sqlite(dir.path().join("inbox.sqlite"))
        .await
        .unwrap();
    let mut expected = HashMap::new();
    for body in events() {
        let now = std::time::SystemTime::now();
        let event = WebhookEvent::new(body.clone().into(), Delivery::at(now)).unwrap();
        expected.insert(
            event_key(&event),
            base16ct::lower::encode_string(&Sha256::digest(&body)),
        );
        assert_eq!(inbox.commit(&event).await.unwrap(), Commit::New);
    }
    let mut registry = HandlerRegistry::new();
    for consumer in &mut consumers {
        consumer.start();
        let name = format!("forward:{}", consumer.name());
        let forward = settings(Forward::to(consumer.url())).build().unwrap();
        registry = registry.register(name, forward).unwrap();
    }
    let worker = inbox.worker(registry).with_concurrency(IN_FLIGHT).unwrap();
    let worker = worker.with_max_attempts(10_000).unwrap();
    let worker = worker
        .with_backoff(Duration::from_millis(20), Duration::from_millis(200))
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = tokio::spawn(worker.run_until(async { drop(stopped.await) }));

    let handled = async {
        let restarts = consumers.iter_mut().map(async |consumer| {
            consumer.wait_for(10).await;
            consumer.kill();
            let printed = consumer.lines().len();
            assert!(printed < expected.len(), "{} had all", consumer.name());
            consumer.start();
        });
        join_all(restarts).await;
        while inbox.stats().await.unwrap().handled < expected.len().try_into().unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), handled)
        .await
        .unwrap();
    drop(stop);
    working.await.unwrap().unwrap();

    for consumer in &consumers {
        if matches!(consumer.name(), "guide" | "node" | "go") {
            refuses_another_secret(consumer).await;
        }
        let mut times: HashMap<String, usize> = HashMap::new();
        for line in consumer.lines() {
            let (key, rest) = line.split_once(' ').unwrap();
            let is_whole = rest == expected[key] || key.ends_with(rest);
            assert!(is_whole, "{}: {line}", consumer.name());
            *times.entry(key.to_owned()).or_default() += 1;
        }
        assert_eq!(times.len(), expected.len(), "{}", consumer.name());
        // Only an event whose answer was lost with the process is posted twice.
        let repeated = times.values().filter(|times| **times > 1).count();
        assert!(repeated <= IN_FLIGHT, "{}: {repeated}", consumer.name());
        assert!(
            times.values().all(|times| *times <= 2),
            "{}",
            consumer.name()
        );
    }
}

/// Posts an event that is signed with the secret of another endpoint, and expects 401.
async fn refuses_another_secret(consumer: &Consumer) {
    let secret = SigningSecret::new("whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3").unwrap();
    let forward = Forward::to(consumer.url())
        .with_allow_private(true)
        .add_secret(secret);
    let now = std::time::SystemTime::now();
    let body = bodies::status_only("forged").into();
    let event = WebhookEvent::new(body, Delivery::at(now)).unwrap();
    let error = forward.build().unwrap().send(&event).await.unwrap_err();
    assert!(
        error.to_string().contains("401"),
        "{}: {error}",
        consumer.name()
    );
}

/// 200 events of every kind and status.
fn events() -> Vec<Vec<u8>> {
    let small = (200..392).map(|number| match number % 2 {
        0 => bodies::status_only(&bodies::job(number)),
        _ => bodies::diarization(&bodies::job(number), 2 << 10),
    });
    let of_each_kind = bodies::of_each_kind().into_iter().map(|(_, _, body)| body);
    small.chain(of_each_kind).collect()
}

fn settings(forward: ForwardBuilder) -> ForwardBuilder {
    forward
        .with_allow_private(true)
        .add_secret(SigningSecret::new(WHSEC).unwrap())
        .add_secret(SigningSecret::new(OLD_WHSEC).unwrap())
        .with_pyannote_secret(&WebhookSecret::new(WHS).unwrap())
        .with_in_flight(IN_FLIGHT)
        .unwrap()
        .with_circuit_breaker(3, Duration::from_millis(100))
        .unwrap()
}
