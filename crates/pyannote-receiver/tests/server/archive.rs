//! The archive in a store that is named by its URL: a directory, and a real S3 server with faults.

use std::{
    collections::{HashMap, HashSet},
    fs,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, get},
    process::{Ended, SECRET_NAME, Server, dir, kept_in, run, wait_until},
    s3::{Fault, S3},
};

type Env<'a> = &'a [(&'a str, &'a str)];

const URL: &str = "s3://meetings/from/pyannote";
const PREFIX: &str = "from/pyannote/";

fn start(dir: TempDir, s3: &S3, further: &[(&'static str, &str)]) -> Server {
    let mut env = s3.env();
    env.push((SECRET_NAME, SECRET.to_owned()));
    env.extend(
        further
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    Server::start_in(dir, &["--archive", URL], &env)
}

/// Returns the archived events by name.
fn kept(s3: &S3) -> Vec<(String, Vec<u8>)> {
    let objects = s3.objects().into_iter();
    let events = objects.filter_map(|(key, body)| {
        let name = key.strip_prefix(PREFIX).unwrap();
        (!name.starts_with('.')).then(|| (name.to_owned(), body))
    });
    events.collect()
}

fn sorted(mut bodies: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    bodies.sort();
    bodies
}

fn bodies_in(s3: &S3) -> Vec<Vec<u8>> {
    sorted(kept(s3).into_iter().map(|(_, body)| body).collect())
}

#[test]
fn a_file_url_is_a_directory_that_is_created() {
    let dir = dir();
    let url = format!("file://{}/a%20b/events", dir.path().display());
    let env = [(SECRET_NAME, SECRET), ("WEBHOOK_SERVER_ARCHIVE", &url)];
    let server = Server::start_in(dir, &[], &env);
    let body = bodies::status_only(&bodies::job(1));
    assert_eq!(Post::new(body.as_slice()).send(server.address).status, 200);
    server.settle();
    let events = kept_in(&server.dir.path().join("a b/events"));
    assert_eq!(events.into_values().collect::<Vec<_>>(), [body]);
    assert!(server.data().join("inbox.sqlite").exists());
    assert_eq!(kept_in(&server.data()).len(), 0);
}

#[test]
fn sidecar_says_how_an_event_arrived() {
    let env = [(SECRET_NAME, SECRET)];
    let server = Server::start_in(dir(), &["--archive-metadata", "sidecar"], &env);
    let body = bodies::status_only(&bodies::job(1));
    let post = Post::new(body.as_slice()).header("x-retry-num", "2");
    assert_eq!(post.send(server.address).status, 200);
    let kept = server.kept();
    let [name] = &kept.keys().collect::<Vec<_>>()[..] else {
        panic!("{kept:?}");
    };
    let sidecar = server
        .data()
        .join(format!(".meta/{}", name.replace(".json", ".meta.json")));
    let sidecar: serde_json::Value = serde_json::from_slice(&fs::read(sidecar).unwrap()).unwrap();
    assert_eq!(sidecar["source"], "webhook");
    assert_eq!(sidecar["retry_number"], 2, "{sidecar}");
}

#[test]
fn s3_keeps_each_event_once_byte_for_byte_with_its_metadata() {
    let Some(s3) = S3::start(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
    let server = start(dir(), &s3, &[]);
    let bodies = bodies::of_each_kind();
    for _ in 0..2 {
        for (kind, _, body) in &bodies {
            let post = Post::new(body.as_slice());
            let retry = post.header("x-retry-num", "2");
            let post = retry.header("x-retry-reason", "http_timeout");
            assert_eq!(post.send(server.address).status, 200, "{kind}");
        }
    }
    server.settle();

    let kept = kept(&s3);
    assert_eq!(kept.len(), bodies.len());
    for (kind, status, body) in &bodies {
        let mut same = kept.iter().filter(|(_, kept)| kept == body);
        let (name, _) = same.next().unwrap();
        assert!(name.contains(&format!("_{kind}_")), "{name}");
        assert!(name.ends_with(&format!("_{status}.json")), "{name}");

        let key = format!("{PREFIX}{name}");
        let metadata = |name| s3.header(&key, &format!("x-amz-meta-{name}"));
        assert_eq!(metadata("source").as_deref(), Some("webhook"));
        assert_eq!(metadata("retrynumber").as_deref(), Some("2"));
        assert_eq!(metadata("retryreason").as_deref(), Some("http_timeout"));
        let received = metadata("receivedat").unwrap();
        let compact = received.replace(['-', ':'], "");
        assert!(
            name.starts_with(compact.trim_end_matches('Z')),
            "{name} {received}"
        );
        let content_type = s3.header(&key, "content-type");
        assert_eq!(content_type.as_deref(), Some("application/json"));
    }
    assert!(server.data().join("inbox.sqlite").exists());
    assert_eq!(kept_in(&server.data()).len(), 0);
}

#[test]
fn s3_that_fails_and_loses_answers_keeps_each_event_once() {
    const FAULTS: [Fault; 5] = [
        Fault::AnswerLost,
        Fault::Refused(500, "InternalError"),
        Fault::Refused(503, "SlowDown"),
        Fault::Refused(409, "ConditionalRequestConflict"),
        Fault::Slow(Duration::from_millis(300)),
    ];
    static MADE: [AtomicUsize; FAULTS.len()] = [const { AtomicUsize::new(0) }; FAULTS.len()];

    // The first write of most events goes wrong, and of some claims.
    let writes = Mutex::new(HashMap::<bool, HashSet<String>>::new());
    let s3 = S3::start_with(env!("CARGO_TARGET_TMPDIR"), move |request| {
        let target = request.target().to_owned();
        if request.method() != "PUT" || target.contains("/.health/") {
            return Fault::None;
        }
        let is_claim = target.contains("/.claims/");
        let mut writes = writes.lock().unwrap();
        let written = writes.entry(is_claim).or_default();
        let number = written.len();
        if !written.insert(target) || is_claim && number > 2 {
            return Fault::None;
        }
        let fault = number % FAULTS.len();
        MADE[fault].fetch_add(1, Ordering::Relaxed);
        FAULTS[fault]
    });
    let Some(s3) = s3 else {
        return;
    };
    let server = start(dir(), &s3, &[]);
    let bodies: Vec<_> = (0..12)
        .map(|number| bodies::diarization(&bodies::job(number), number % 7 * 40_000))
        .collect();
    thread::scope(|scope| {
        for body in &bodies {
            let post = Post::new(body.as_slice());
            let address = server.address;
            scope.spawn(move || assert_eq!(post.send(address).status, 200));
        }
    });
    server.settle();
    assert_eq!(bodies_in(&s3), sorted(bodies));
    assert_eq!(server.inbox()["dead"], 0);
    assert_eq!(
        server.metric("pyannote_webhook_archive_conflicts_total"),
        0.0
    );
    for (fault, made) in FAULTS.iter().zip(&MADE) {
        assert!(made.load(Ordering::Relaxed) > 0, "{fault:?} was never made");
    }
}

#[test]
fn health_says_what_the_store_does_and_not_what_it_answers() {
    static REFUSES: AtomicBool = AtomicBool::new(false);

    let s3 = S3::start_with(env!("CARGO_TARGET_TMPDIR"), |_| {
        match REFUSES.load(Ordering::Relaxed) {
            true => Fault::Refused(403, "InvalidAccessKeyId"),
            false => Fault::None,
        }
    });
    let Some(s3) = s3 else {
        return;
    };
    let server = start(dir(), &s3, &[]);
    let health = || get(server.address, "/health", "*/*");
    assert_eq!(health().status, 200);
    REFUSES.store(true, Ordering::Relaxed);
    wait_until("a new check", || health().status == 503);
    assert_eq!(
        health().body,
        r#"{"inbox":"ok","status":"unavailable","storage":"the store denies access"}"#
    );
    REFUSES.store(false, Ordering::Relaxed);
    wait_until("a new check", || health().status == 200);
    assert_eq!(s3.objects().len(), 0, "checks leave nothing behind");
}

#[test]
fn receivers_with_inboxes_of_their_own_share_a_bucket() {
    let Some(s3) = S3::start(env!("CARGO_TARGET_TMPDIR")) else {
        return;
    };
    let servers = [start(dir(), &s3, &[]), start(dir(), &s3, &[])];
    let bodies: Vec<_> = (0..10)
        .map(|number| bodies::diarization(&bodies::job(number), 20_000))
        .collect();
    thread::scope(|scope| {
        for body in &bodies {
            for server in servers.iter().cycle().take(4) {
                let post = Post::new(body.as_slice());
                let address = server.address;
                scope.spawn(move || assert_eq!(post.send(address).status, 200));
            }
        }
    });
    for server in &servers {
        server.settle();
        assert_eq!(server.inbox()["dead"], 0);
        assert_eq!(
            server.metric("pyannote_webhook_archive_conflicts_total"),
            0.0
        );
    }
    assert_eq!(bodies_in(&s3), sorted(bodies));
}

#[test]
fn s3_that_overwrites_is_refused_unless_the_operator_accepts_that() {
    let s3 = S3::start_with(env!("CARGO_TARGET_TMPDIR"), |_| {
        Fault::Ignores("if-none-match")
    });
    let Some(s3) = s3 else {
        return;
    };
    let mut env = s3.env();
    env.push((SECRET_NAME, SECRET.to_owned()));
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, &**value)).collect();
    let folder = dir();
    let flags = ["--port", "0", "--data-dir", "data", "--archive", URL];
    let Ended {
        code,
        stdout,
        stderr,
    } = run(folder.path(), &flags, &env);
    assert_eq!((code, &*stdout), (Some(1), ""));
    let last = stderr.lines().last().unwrap();
    assert!(
        last.contains(
            "--archive (or WEBHOOK_SERVER_ARCHIVE): the store ignores `If-None-Match: *`, so duplicates that arrive at once would \
             overwrite each other: use a store that has it, or accept that with AWS_CONDITIONAL_PUT=disabled"
        ),
        "{stderr}"
    );
    assert_eq!(s3.objects().len(), 0, "the test leaves nothing behind");

    let server = start(folder, &s3, &[("AWS_CONDITIONAL_PUT", "disabled")]);
    assert!(
        server
            .log()
            .contains("AWS_CONDITIONAL_PUT=disabled: duplicates that arrive at once")
    );
    let body = bodies::diarization(&bodies::job(1), 20_000);
    for _ in 0..2 {
        assert_eq!(Post::new(body.as_slice()).send(server.address).status, 200);
        server.settle();
    }
    assert_eq!(bodies_in(&s3), [body]);
}

#[test]
fn an_archive_that_cannot_be_used_is_one_line_that_says_what_to_do() {
    let folder = dir();
    fs::write(folder.path().join("file"), "").unwrap();
    let file = format!("file://{}/file", folder.path().display());
    let forms =
        "use file:///DIRECTORY, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";
    let rows: [(&str, Env, &str); 12] = [
        (
            "data",
            &[],
            &format!("it is no URL (relative URL without a base): {forms}"),
        ),
        (
            "file://data",
            &[],
            &format!("no store has such a URL: {forms}"),
        ),
        (
            "ftp://host/a",
            &[],
            &format!("no store has such a URL: {forms}"),
        ),
        (
            "memory:///",
            &[],
            &format!("the store cannot hold an archive: {forms}"),
        ),
        (
            "https://example.com/a",
            &[],
            &format!("the store cannot hold an archive: {forms}"),
        ),
        (
            "s3://AKIA:aws_secret@meetings/a",
            &[],
            "the environment has the credentials",
        ),
        (
            "s3://meetings/a?region=us-east-1",
            &[],
            "has no password, query or fragment",
        ),
        (&file, &[], "cannot store in the directory"),
        (
            "s3://meetings/a",
            &[("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")],
            "AWS_SECRET_ACCESS_KEY and AWS_REGION",
        ),
        (
            "s3://meetings/a",
            &[
                ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "aws_secret"),
                ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ],
            "AWS_ALLOW_HTTP=true",
        ),
        ("az://meetings/a", &[], "AZURE_STORAGE_ACCOUNT_NAME"),
        (
            "gs://meetings/a",
            &[("GOOGLE_SERVICE_ACCOUNT_KEY", "no JSON")],
            "GOOGLE_SERVICE_ACCOUNT_KEY",
        ),
    ];
    for (url, env, said) in rows {
        let env = [&[(SECRET_NAME, SECRET)], env].concat();
        let flags = ["--port", "0", "--data-dir", "data", "--archive", url];
        let Ended {
            code,
            stdout,
            stderr,
        } = run(folder.path(), &flags, &env);
        assert_eq!((code, &*stdout), (Some(1), ""), "{url}: {stderr}");
        let last = stderr.lines().last().unwrap();
        assert!(
            last.contains("--archive (or WEBHOOK_SERVER_ARCHIVE): "),
            "{url}: {last}"
        );
        assert!(last.contains(said), "{url}: {last}");
        assert!(!stderr.contains("aws_secret"), "{url}: {stderr}");
    }
}
