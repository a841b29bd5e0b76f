use std::{collections::BTreeMap, fs, io::Write, net::Shutdown, os::unix::fs::MetadataExt, thread};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, SECRET, connect},
    process::{SECRET_NAME, Server, dir},
};

#[test]
fn each_kind_is_archived_once_byte_for_byte() {
    let server = Server::start();
    let bodies = bodies::of_each_kind();
    for (kind, status, body) in &bodies {
        let answer = Post::new(body.as_slice()).send(server.address);
        assert_eq!((answer.status, &*answer.body), (200, ""), "{kind} {status}");
    }

    let kept = server.kept();
    assert_eq!(kept.len(), bodies.len());
    for (kind, status, body) in &bodies {
        let names: Vec<_> = kept
            .iter()
            .filter(|(_, kept)| *kept == body)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names.len(), 1, "{kind} {status}");
        assert!(names[0].contains(&format!("_{kind}_")), "{names:?}");
        assert!(names[0].ends_with(&format!("_{status}.json")), "{names:?}");

        let series = format!(
            "pyannote_webhook_processed_webhooks_total{{kind=\"{kind}\",status=\"{status}\"}}"
        );
        let same = bodies.iter().filter(|(k, s, _)| k == kind && s == status);
        assert_eq!(
            server.metric(&series),
            f64::from(u32::try_from(same.count()).unwrap())
        );
    }
    assert_eq!(server.metric("pyannote_webhook_in_flight_bytes"), 0.0);
}

#[test]
fn duplicate_changes_nothing() {
    let server = Server::start();
    let body = bodies::diarization(&bodies::job(1), 100_000);
    assert_eq!(Post::new(body.as_slice()).send(server.address).status, 200);
    server.settle();
    let before = snapshot(&server);

    for age in [0, 30] {
        let again = Post::signed_with(SECRET, body.as_slice(), age).header("x-retry-num", "1");
        assert_eq!(again.send(server.address).status, 200);
    }

    assert_eq!(snapshot(&server), before);
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [body]);
}

/// Returns every file in the data directory with its inode and its time of modification.
fn snapshot(server: &Server) -> BTreeMap<String, (u64, i64, i64)> {
    fs::read_dir(server.data())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .filter(|entry| {
            !entry
                .file_name()
                .to_string_lossy()
                .starts_with("inbox.sqlite")
        })
        .map(|entry| {
            let file = entry.metadata().unwrap();
            let name = entry.path().display().to_string();
            (name, (file.ino(), file.mtime(), file.mtime_nsec()))
        })
        .collect()
}

#[test]
fn hex_base64_and_a_version_prefix_are_accepted() {
    let server = Server::start();
    let post = |number| Post::new(bodies::status_only(&bodies::job(number)));
    let posts = [
        ("hex", post(0)),
        (
            "upper hex",
            post(1).with_signature(|key, at, body| key.sign(at, body).to_hex().to_uppercase()),
        ),
        (
            "v0= hex",
            post(2).with_signature(|key, at, body| format!("v0={}", key.sign(at, body).to_hex())),
        ),
        (
            "base64",
            post(3).with_signature(|key, at, body| key.sign(at, body).to_base64()),
        ),
        (
            "base64 unpadded",
            post(4).with_signature(|key, at, body| key.sign(at, body).to_base64().replace('=', "")),
        ),
        (
            "v0= base64",
            post(5)
                .with_signature(|key, at, body| format!("v0={}", key.sign(at, body).to_base64())),
        ),
    ];
    for (name, post) in &posts {
        assert_eq!(post.send(server.address).status, 200, "{name}");
    }
    assert_eq!(server.kept().len(), posts.len());
}

#[test]
fn chunked_body_is_archived_whole() {
    let server = Server::start();
    let body = bodies::diarization(&bodies::job(1), 3 << 20);
    let answer = Post::new(body.as_slice()).chunked().send(server.address);
    assert_eq!((answer.status, &*answer.body), (200, ""));
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [body]);
}

#[test]
fn both_secrets_of_a_rotation_are_accepted_and_no_third() {
    let server = Server::start_in(dir(), &[], &[(SECRET_NAME, "whs_new,whs_old")]);
    for (number, secret, status) in [(1, "whs_new", 200), (2, "whs_old", 200), (3, SECRET, 401)] {
        let body = bodies::status_only(&bodies::job(number));
        let post = Post::signed_with(secret, body, 0);
        assert_eq!(post.send(server.address).status, status, "{secret}");
    }
    assert_eq!(server.kept().len(), 2);
    for secret in ["0", "1"] {
        let series =
            format!("pyannote_webhook_signatures_total{{secret=\"{secret}\",encoding=\"hex\"}}");
        assert_eq!(server.metric(&series), 1.0);
    }
}

#[test]
fn refused_deliveries_are_counted_and_not_archived() {
    let server = Server::start();
    let body = bodies::status_only(&bodies::job(1));
    let good = || Post::new(body.as_slice());
    let mut altered = good();
    altered.body[10] ^= 1;
    let mut cut = good();
    cut.body.truncate(20);
    let over = ((128_u64 << 20) + 1).to_string();

    for (name, post, status, reason) in [
        (
            "forged",
            Post::signed_with("whs_guess", body.as_slice(), 0),
            401,
            "signature_mismatch",
        ),
        ("altered", altered, 401, "signature_mismatch"),
        ("cut short and told so", cut, 401, "signature_mismatch"),
        (
            "stale",
            Post::signed_with(SECRET, body.as_slice(), 602),
            401,
            "stale_timestamp",
        ),
        (
            "from the future",
            Post::signed_with(SECRET, body.as_slice(), -660),
            401,
            "future_timestamp",
        ),
        (
            "unsigned",
            good().without("x-signature"),
            401,
            "missing_signature",
        ),
        (
            "undated",
            good().without("x-request-timestamp"),
            401,
            "missing_timestamp",
        ),
        (
            "signed twice",
            good().header("x-signature", &"0".repeat(64)),
            400,
            "duplicate_signature",
        ),
        (
            "dated twice",
            good().header("x-request-timestamp", "1"),
            400,
            "duplicate_timestamp",
        ),
        (
            "badly signed",
            good().with_signature(|_, _, _| "v1=00".into()),
            400,
            "malformed_signature",
        ),
        (
            "oversize",
            good().header("content-length", &over),
            413,
            "body_too_large",
        ),
        ("not JSON", Post::new("{"), 400, "syntax"),
        ("not an object", Post::new("[]"), 400, "not_an_object"),
        (
            "not UTF-8",
            Post::new(*b"{\"jobId\":\"\xff\"}"),
            400,
            "not_utf8",
        ),
        ("of no job", Post::new("{}"), 400, "missing_job_id"),
    ] {
        let series = format!("pyannote_webhook_failed_verifications_total{{reason=\"{reason}\"}}");
        let before = server.metric(&series);
        let answer = post.send(server.address);
        assert_eq!((answer.status, &*answer.body), (status, ""), "{name}");
        assert_eq!(server.metric(&series), before + 1.0, "{name}");
    }
    assert!(server.kept().is_empty());
}

#[test]
fn incomplete_body_is_refused_counted_and_not_archived() {
    let server = Server::start();
    let post = Post::new(bodies::diarization(&bodies::job(1), 10_000));
    let mut stream = connect(server.address);
    stream.write_all(post.head().as_bytes()).unwrap();
    stream.write_all(&post.body[..5_000]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let answer = Answer::read(&mut stream).unwrap();
    assert_eq!((answer.status, &*answer.body), (400, ""));

    let series = "pyannote_webhook_failed_verifications_total{reason=\"body_broken\"}";
    assert_eq!(server.metric(series), 1.0);
    assert!(server.kept().is_empty());
}

#[test]
fn sender_that_half_closes_gets_its_response() {
    let server = Server::start();
    for number in 0..20 {
        let post = Post::new(bodies::diarization(&bodies::job(number), 10_000));
        let mut stream = connect(server.address);
        let request = [post.head().as_bytes(), &post.body].concat();
        stream.write_all(&request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let status = Answer::read(&mut stream).map(|answer| answer.status);
        assert_eq!(status, Some(200), "delivery {number}");
    }
    assert_eq!(server.kept().len(), 20);
}

#[test]
fn delivery_invalid_by_its_headers_gets_its_response_before_a_long_body() {
    let server = Server::start();
    let stale = Post::signed_with(SECRET, vec![b'x'; 16 << 20], 3_600);
    let answer = stale.send(server.address);
    assert_eq!((answer.status, &*answer.body), (401, ""));
}

#[test]
fn retries_are_counted_by_reason() {
    let server = Server::start();
    let body = bodies::status_only(&bodies::job(1));
    assert_eq!(Post::new(body.as_slice()).send(server.address).status, 200);
    for (number, reason) in [
        ("1", "http_timeout"),
        ("2", "http_error"),
        ("3", "http_error"),
        ("3", "sunspots"),
    ] {
        let retry = Post::new(body.as_slice())
            .header("x-retry-num", number)
            .header("x-retry-reason", reason);
        assert_eq!(retry.send(server.address).status, 200);
    }
    for (reason, count) in [
        ("http_timeout", 1.0),
        ("http_error", 2.0),
        ("other", 1.0),
        ("ssl_error", 0.0),
        ("none", 0.0),
    ] {
        let series = format!("pyannote_webhook_retries_total{{reason=\"{reason}\"}}");
        assert_eq!(server.metric(&series), count, "{reason}");
    }
}

#[test]
fn concurrent_duplicates_archive_one_file() {
    let server = Server::start();
    // Text, because a build without optimization takes 20 times as long to check numbers, and the inbox has 5 s to commit.
    // Signed once, because the senders share the processor with the receiver.
    let voiceprint = "A".repeat(200_000);
    let job = bodies::job(1);
    let body = format!(
        r#"{{"jobId":"{job}","status":"succeeded","output":{{"voiceprint":"{voiceprint}"}}}}"#
    );
    let post = Post::new(body.as_bytes());
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(post.send(server.address).status, 200));
        }
    });
    assert_eq!(
        server.kept().into_values().collect::<Vec<_>>(),
        [body.into_bytes()]
    );
    assert_eq!(
        server.metric("pyannote_webhook_archive_conflicts_total"),
        0.0
    );
}
