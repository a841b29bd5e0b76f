//! Events that are published to a NATS server.

use std::{fs, time::Duration};

use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tower_pyannote_forward::async_nats::{
    ConnectOptions,
    jetstream::{self, Context, Message, consumer::pull::Config},
};
use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    nats::Nats,
    process::{SECRET_NAME, Server, dir, run, wait_until},
};

const PASSWORD: &str = "correct-horse";

/// Starts a server that demands a password, and returns the URL with it.
fn nats() -> Option<(Nats, String)> {
    let settings =
        format!("max_payload: 65536\nauthorization {{ user: receiver, password: \"{PASSWORD}\" }}");
    let nats = Nats::start(&settings)?;
    let user = format!("nats://receiver:{PASSWORD}@");
    let url = nats.url().replace("nats://", &user);
    Some((nats, url))
}

fn deliver(server: &Server, body: &[u8]) {
    assert_eq!(Post::new(body).send(server.address).status, 200);
}

#[test]
fn events_are_in_the_stream_by_subject_although_nats_was_killed() {
    let Some((mut nats, url)) = nats() else {
        return;
    };
    let flags = ["--relay", &url, "--debug"];
    let server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let failed = br#"{"jobId":"job-2","status":"failed"}"#.to_vec();
    let large = bodies::diarization("job-3", 300 << 10);
    deliver(&server, &bodies::diarization("job-1", 1_000));
    deliver(&server, &failed);
    server.settle();

    nats.kill();
    deliver(&server, &bodies::diarization("job-4", 1_000));
    deliver(&server, &large);
    let retried = "attempt failed; the event will be retried";
    wait_until("a failed attempt", || server.log().contains(retried));
    nats.restart();
    server.settle();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let context = context(&nats).await;
        let none = messages(&context, "pyannote.none.failed", 1).await;
        assert_eq!(none[0].payload, failed);
        let succeeded = messages(&context, "pyannote.diarization.succeeded", 3).await;
        let mut keys = Vec::new();
        for message in &succeeded {
            let header = |name: &str| {
                let headers = message.headers.as_ref().unwrap();
                headers.get(name).map(|value| value.as_str().to_owned())
            };
            let key = header("Nats-Msg-Id").unwrap();
            let (job, _) = key.split_once(':').unwrap();
            assert_eq!(header("ce-id").as_ref(), Some(&key));
            assert_eq!(header("ce-specversion").as_deref(), Some("1.0"));
            assert_eq!(header("ce-subject").as_deref(), Some(job));
            let kind = "ai.pyannote.diarization.succeeded";
            assert_eq!(header("ce-type").as_deref(), Some(kind));
            match header("pyannote-object-bucket") {
                None => assert_eq!(message.payload, bodies::diarization(job, 1_000)),
                Some(bucket) => {
                    assert_eq!((job, message.payload.len()), ("job-3", 0));
                    let bucket = context.get_object_store(bucket).await.unwrap();
                    let name = header("pyannote-object-name").unwrap();
                    let mut object = bucket.get(name).await.unwrap();
                    let mut body = Vec::new();
                    object.read_to_end(&mut body).await.unwrap();
                    assert!(body == large);
                    let digest = base16ct::lower::encode_string(&Sha256::digest(&body));
                    assert_eq!(header("pyannote-object-sha256"), Some(digest));
                }
            }
            keys.push(key);
        }
        keys.sort();
        let expected = ["job-1", "job-3", "job-4"].map(|job| format!("{job}:succeeded"));
        assert_eq!(keys, expected);
    });
    assert!(!server.log().contains(PASSWORD));
}

#[test]
fn password_of_the_relay_is_in_no_output() {
    let dir = dir();
    let env = [(SECRET_NAME, SECRET)];
    let url = format!("nats://receiver:{PASSWORD}@127.0.0.1:1");
    let file = format!("[relay]\nurl = \"{url}\"\n");
    fs::write(dir.path().join("receiver.toml"), file).unwrap();
    let unusable = format!("nats://receiver:{PASSWORD}@[");
    let cases: [(&[&str], i32); 5] = [
        (&["config", "--relay", &url], 0),
        (&["config", "--json", "--config", "receiver.toml"], 0),
        (&["check", "--port", "0", "--relay", &url], 1),
        (&["--port", "0", "--relay", &unusable], 2),
        (
            &["--port", "0", "--relay", &url, "--relay-stream", "a.b"],
            2,
        ),
    ];
    for (flags, code) in cases {
        let ended = run(dir.path(), flags, &env);
        assert_eq!(ended.code, Some(code), "{flags:?} {ended:?}");
        let printed = ended.stdout + &ended.stderr;
        assert!(
            !printed.is_empty() && !printed.contains(PASSWORD),
            "{flags:?} {printed}"
        );
    }
}

async fn context(nats: &Nats) -> Context {
    let options = ConnectOptions::new().user_and_password("receiver".into(), PASSWORD.into());
    jetstream::new(options.connect(nats.url()).await.unwrap())
}

/// Receives the messages of a subject.
async fn messages(context: &Context, subject: &str, count: usize) -> Vec<Message> {
    let config = Config {
        filter_subject: subject.to_owned(),
        ..Config::default()
    };
    let stream = context.get_stream("PYANNOTE").await.unwrap();
    let consumer = stream.create_consumer(config).await.unwrap();
    let received = consumer.stream().messages().await.unwrap();
    let received = received.map(Result::unwrap).take(count).collect();
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, received).await.unwrap()
}
