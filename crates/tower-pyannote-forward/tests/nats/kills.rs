//! The server and the relay's process are killed in the middle.

use std::{
    collections::HashMap,
    env,
    ffi::OsStr,
    fs::File,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant, SystemTime},
};

use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_forward::{Relay, event_key};
use tower_pyannote_inbox::{Commit, Inbox};
use tower_pyannote_test_support::{bodies, language};

use crate::{
    guide,
    server::{BUCKET, STREAM, Server},
};

const SMALL: usize = 2_000;
const LARGE: usize = 20;
const EVENTS: usize = SMALL + LARGE;

#[tokio::test]
async fn stream_has_every_event_once_although_server_and_relay_are_killed() {
    if let Some(inbox) = env::var_os(INBOX) {
        return relay(Path::new(&inbox), &env::var(URL).unwrap()).await;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let requirements =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/consumers/requirements.txt");
    let Some(python) = language::python(&target.join("forward-python"), &requirements) else {
        return;
    };
    let Some(mut server) = Server::start("") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("inbox.sqlite");
    let inbox = Inbox::sqlite(&file).await.unwrap();
    let begun = Instant::now();
    let expected = fill(&inbox).await;
    println!("committed in {:?}", begun.elapsed());

    let begun = Instant::now();
    let mut process = Process::start(&file, &server);
    handled(&inbox, EVENTS / 5).await;
    server.kill();
    server.restart();
    handled(&inbox, 2 * EVENTS / 5).await;
    process.kill();
    process = Process::start(&file, &server);
    handled(&inbox, 3 * EVENTS / 5).await;
    server.kill();
    process.kill();
    server.restart();
    process = Process::start(&file, &server);
    handled(&inbox, EVENTS).await;
    process.kill();
    println!("published in {:?}", begun.elapsed());

    assert_eq!(server.count().await, EVENTS as u64);
    let log = dir.path().join("consumer.log");
    let program = dir.path().join("consumer.py");
    std::fs::write(&program, guide::block("NATS", "python")).unwrap();
    let mut consumer = Process(
        Command::new(python)
            .arg(program)
            .env("NATS_URL", server.url())
            .stdout(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    let lines = || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    until("the consumer", async || lines().len() >= EVENTS).await;
    consumer.kill();
    let mut received = HashMap::new();
    for line in lines() {
        let (key, digest) = line.split_once(' ').unwrap();
        assert_eq!(
            received.insert(key.to_owned(), digest.to_owned()),
            None,
            "{key} came twice"
        );
    }
    assert_eq!(received, expected);
}

#[tokio::test]
async fn bucket_does_not_grow_although_uploads_are_killed() {
    if let Some(url) = env::var_os(URL) {
        return upload(url.to_str().unwrap()).await;
    }
    // An upload of 2,560 chunks.
    let Some(server) = Server::start("max_payload: 16384") else {
        return;
    };
    let context = server.context().await;
    let relay = Relay::nats(server.url(), STREAM).with_create_if_absent(true);
    let _connected = relay.connect().await.unwrap();
    let objects = context.get_object_store(BUCKET).await.unwrap();
    let mut stream = context.get_stream(format!("OBJ_{BUCKET}")).await.unwrap();
    let (event, digest) = event(50);
    let body = event.raw();
    let whole = body.len().div_ceil(8_192) as u64;
    for _ in 0..5 {
        let before = stream.info().await.unwrap().state.last_sequence;
        let test = "kills::bucket_does_not_grow_although_uploads_are_killed";
        let mut process = Process::run(test, &[(URL, server.url().as_ref())]);
        until("a third of the chunks", async || {
            stream.info().await.unwrap().state.last_sequence >= before + whole / 3
        })
        .await;
        process.kill();
        objects.info(event_key(&event)).await.unwrap_err();
        let messages = stream.info().await.unwrap().state.messages;
        assert!(messages <= whole, "{messages} chunks");
    }
    upload(&server.url()).await;
    // The chunks, and the description of the object.
    assert_eq!(stream.info().await.unwrap().state.messages, whole + 1);
    let mut stored = Vec::new();
    let mut object = objects.get(event_key(&event)).await.unwrap();
    object.read_to_end(&mut stored).await.unwrap();
    assert_eq!(
        base16ct::lower::encode_string(&Sha256::digest(&stored)),
        digest
    );
}

/// Uploads one object, in the process that the test kills.
async fn upload(url: &str) {
    let relay = Relay::nats(url, STREAM).build().unwrap();
    relay.publish(&event(50).0).await.unwrap();
}

/// Commits the events, and returns the SHA-256 of their bodies by key.
async fn fill(inbox: &Inbox) -> HashMap<String, String> {
    let mut expected = HashMap::new();
    let numbers: Vec<usize> = (0..EVENTS).collect();
    for numbers in numbers.chunks(EVENTS / LARGE) {
        let commits = numbers.iter().map(async |number| {
            let number = *number;
            let (event, digest) = tokio::task::spawn_blocking(move || event(number))
                .await
                .unwrap();
            assert_eq!(inbox.commit(&event).await.unwrap(), Commit::New);
            (event_key(&event), digest)
        });
        expected.extend(join_all(commits).await);
    }
    expected
}

/// Returns an event and the SHA-256 of its body. One in 101 is large.
fn event(number: usize) -> (WebhookEvent, String) {
    let job = bodies::job(number);
    let body = match number % (EVENTS / LARGE) {
        50 => large(&job),
        _ => bodies::diarization(&job, 2 << 10),
    };
    let digest = base16ct::lower::encode_string(&Sha256::digest(&body));
    let delivery = Delivery::at(SystemTime::now());
    (WebhookEvent::new(body.into(), delivery).unwrap(), digest)
}

/// A body of 20 MiB. No two chunks of it are equal.
fn large(job: &str) -> Vec<u8> {
    let mut text = String::with_capacity(20 << 20);
    let mut block = job.to_owned();
    while text.len() < 20 << 20 {
        block = base16ct::lower::encode_string(&Sha256::digest(block));
        text += &block.repeat(64);
    }
    format!(r#"{{"jobId":"{job}","status":"succeeded","text":"{text}"}}"#).into_bytes()
}

/// The process that is killed: a worker with a relay.
async fn relay(inbox: &Path, url: &str) {
    let relay = Relay::nats(url, STREAM)
        .with_create_if_absent(true)
        .with_timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let registry = HandlerRegistry::new().register("relay", relay).unwrap();
    let registry = registry
        .with_handler_timeout(Duration::from_secs(20))
        .unwrap();
    let worker = Inbox::sqlite_existing(inbox)
        .await
        .unwrap()
        .worker(registry);
    let worker = worker
        .with_concurrency(16)
        .unwrap()
        .with_max_attempts(1_000)
        .unwrap()
        .with_backoff(Duration::from_millis(50), Duration::from_millis(500))
        .unwrap()
        .with_lease(Duration::from_secs(3))
        .unwrap();
    worker.run_until(std::future::pending()).await.unwrap();
}

struct Process(Child);

impl Process {
    fn start(inbox: &Path, server: &Server) -> Self {
        let test = "kills::stream_has_every_event_once_although_server_and_relay_are_killed";
        Self::run(
            test,
            &[(INBOX, inbox.as_ref()), (URL, server.url().as_ref())],
        )
    }

    /// Starts a process that runs one test of this program.
    fn run(test: &str, env: &[(&str, &OsStr)]) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test])
            .envs(env.iter().copied())
            .spawn()
            .unwrap();
        Self(child)
    }

    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn handled(inbox: &Inbox, events: usize) {
    until("the relay", async || {
        inbox.stats().await.unwrap().handled >= events as u64
    })
    .await;
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !done().await {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "waited too long for {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const INBOX: &str = "RELAY_TEST_INBOX";
const URL: &str = "RELAY_TEST_URL";
