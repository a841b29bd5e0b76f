//! Events that are passed on to other programs.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use base64ct::{Base64, Encoding};
use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{SECRET_NAME, Server, dir, run, wait_until},
};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Starts an endpoint that answers every request with a status, and returns its port and the requests: head and body.
fn endpoint(status: &'static str) -> (u16, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).unwrap() == 0 {
                    break;
                }
            }
            let head = head.to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
            stream.read_exact(&mut body).unwrap();
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            if sender.send((head, body)).is_err() {
                return;
            }
        }
    });
    (port, requests)
}

fn next(requests: &Receiver<(String, Vec<u8>)>) -> (String, Vec<u8>) {
    requests.recv_timeout(Duration::from_secs(30)).unwrap()
}

#[test]
fn flag_posts_every_event_signed_with_the_secret_of_the_file() {
    let (port, requests) = endpoint("204 No Content");
    let dir = dir();
    fs::write(dir.path().join("secret"), format!("{WHSEC}\n")).unwrap();
    let url = format!("http://127.0.0.1:{port}/events");
    let flags = ["--forward", &url, "--forward-secret-file", "secret"];
    let server = Server::start_in(dir, &flags, &[(SECRET_NAME, SECRET)]);
    let body = bodies::status_only("job-1");
    assert_eq!(Post::new(body.clone()).send(server.address).status, 200);
    let (head, received) = next(&requests);
    assert_eq!(received, body);
    assert!(head.starts_with("post /events http/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nwebhook-id: job-1:succeeded\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\nwebhook-signature: v1,"), "{head}");
    server.settle();
    let series = "pyannote_webhook_forwards_total{endpoint=\"127.0.0.1:PORT\",outcome=\"sent\"}";
    assert_eq!(
        server.metric(&series.replace("PORT", &port.to_string())),
        1.0
    );
    assert!(!server.log().contains("MfKQ9r8"));
}

/// Returns whether a request has one signature of Standard Webhooks, made with a key.
fn is_signed_with(key: &str, (head, body): &(String, Vec<u8>)) -> bool {
    let header = |name: &str| {
        let mut lines = head.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.unwrap()
    };
    let signed = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp"));
    let key = Base64::decode_vec(key.strip_prefix("whsec_").unwrap()).unwrap();
    let mac = hmac_sha256::HMAC::mac([signed.as_bytes(), body].concat(), key);
    let expected = format!("v1,{}", Base64::encode_string(&mac));
    // The head is in lower case.
    header("webhook-signature") == expected.to_lowercase()
}

#[test]
fn secrets_of_endpoints_are_read_again_at_sighup() {
    let new = format!("whsec_{}", Base64::encode_string(&[7; 32]));
    let (of_crm, at_crm) = endpoint("204 No Content");
    let (of_flag, at_flag) = endpoint("204 No Content");
    let dir = dir();
    let path = dir.path().to_owned();
    let write = |name: &str, text: &str| fs::write(path.join(name), text).unwrap();
    write("shared", WHSEC);
    write("secret", WHSEC);
    write("token", "token-1\n");
    let file = format!(
        r#"
        [forward.endpoints.crm]
        url = "http://127.0.0.1:{of_crm}/"
        secret_file = "secret"
        header_files = {{ x-token = "token" }}
        "#
    );
    write("receiver.toml", &file);
    let url = format!("http://127.0.0.1:{of_flag}/");
    let flags = [
        "--config",
        "receiver.toml",
        "--forward",
        &url,
        "--forward-secret-file",
        "shared",
    ];
    let server = Server::start_in(dir, &flags, &[(SECRET_NAME, SECRET)]);
    let deliver = |job: &str| {
        let post = Post::new(bodies::status_only(job));
        assert_eq!(post.send(server.address).status, 200);
        (next(&at_crm), next(&at_flag))
    };
    // A reload logs one line for each endpoint.
    let reload = |crm: &str, flag: &str| {
        let names = [
            "forward:crm".to_owned(),
            format!("forward:127.0.0.1:{of_flag}"),
        ];
        let counted = |log: &str| {
            let said = names.iter().zip([crm, flag]);
            let lines = said.map(|(name, said)| format!("SIGHUP: the secret of {name} {said}"));
            lines
                .map(|line| log.matches(&line).count())
                .collect::<Vec<_>>()
        };
        let before = counted(&server.log());
        server.signal("HUP");
        wait_until("the log lines", || {
            let after = counted(&server.log());
            after
                .iter()
                .zip(&before)
                .all(|(after, before)| after > before)
        });
    };
    const AGAIN: &str = "was read again";
    const KEPT: &str = "cannot be read; the one before stays in use";

    let (crm, flag) = deliver("job-1");
    assert!(is_signed_with(WHSEC, &crm) && is_signed_with(WHSEC, &flag));
    assert!(crm.0.contains("\r\nx-token: token-1\r\n"), "{}", crm.0);

    write("shared", &new);
    write("secret", &new);
    write("token", "token-2");
    reload(AGAIN, AGAIN);
    let (crm, flag) = deliver("job-2");
    assert!(is_signed_with(&new, &crm) && is_signed_with(&new, &flag));
    assert!(crm.0.contains("\r\nx-token: token-2\r\n"), "{}", crm.0);

    // Each broken file is named, and leaves the other endpoint alone.
    write("secret", "whsec_short");
    write("shared", WHSEC);
    reload(KEPT, AGAIN);
    fs::remove_file(path.join("shared")).unwrap();
    write("secret", WHSEC);
    fs::remove_file(path.join("token")).unwrap();
    reload(KEPT, KEPT);
    let (crm, flag) = deliver("job-3");
    assert!(is_signed_with(&new, &crm) && is_signed_with(WHSEC, &flag));
    assert!(crm.0.contains("\r\nx-token: token-2\r\n"), "{}", crm.0);
    let log = server.log();
    for named in [
        "forward.endpoints.crm: the secret",
        "forward.endpoints.crm: header_files.x-token: token: cannot be read",
        "--forward-secret-file: shared: cannot be read",
    ] {
        assert!(log.contains(named), "{named}: {log}");
    }
    for hidden in ["whsec_short", "MfKQ9r8", "BwcHBwcH", "token-1", "token-2"] {
        assert!(!log.contains(hidden), "{hidden}");
    }
}

#[test]
fn endpoint_that_is_down_holds_back_neither_the_archive_nor_another_endpoint() {
    let (port, requests) = endpoint("204 No Content");
    let (broken, failures) = endpoint("500 Internal Server Error");
    let urls = format!("http://localhost:{broken}/,http://127.0.0.1:{port}/");
    let env = [(SECRET_NAME, SECRET), ("WEBHOOK_SERVER_FORWARD", &urls)];
    let server = Server::start_in(dir(), &[], &env);
    assert_eq!(
        Post::new(bodies::status_only("job-1"))
            .send(server.address)
            .status,
        200
    );
    next(&failures);
    assert_eq!(next(&requests).1, bodies::status_only("job-1"));
    assert_eq!(
        tower_pyannote_test_support::process::kept_in(&server.data()).len(),
        1
    );
}

#[test]
fn settings_file_has_endpoints_with_filters_secrets_and_headers() {
    let (port, requests) = endpoint("204 No Content");
    let (other, _unused) = endpoint("204 No Content");
    let dir = dir();
    fs::write(dir.path().join("secret"), "whs_of_the_endpoint").unwrap();
    let file = format!(
        r#"
        [forward.endpoints.alerts]
        url = "http://127.0.0.1:{port}/"
        statuses = ["failed"]
        kinds = ["none", "diarization"]
        pyannote_secret_file = "secret"
        timeout = "10s"
        headers = {{ x-token = "of-alerts" }}
        [forward.endpoints.voices]
        url = "http://127.0.0.1:{other}/"
        kinds = ["voiceprint"]
        "#
    );
    fs::write(dir.path().join("receiver.toml"), file).unwrap();
    let flags = ["--config", "receiver.toml"];
    let server = Server::start_in(dir, &flags, &[(SECRET_NAME, SECRET)]);
    let failed = br#"{"jobId":"job-2","status":"failed"}"#.to_vec();
    for body in [bodies::status_only("job-1"), failed.clone()] {
        assert_eq!(Post::new(body).send(server.address).status, 200);
    }
    let (head, body) = next(&requests);
    assert_eq!(body, failed);
    for header in [
        "x-token: of-alerts",
        "x-signature: ",
        "ce-type: ai.pyannote.none.failed",
    ] {
        assert!(head.contains(&format!("\r\n{header}")), "{head}");
    }
    server.settle();
    assert!(requests.try_recv().is_err());
}

#[test]
fn setting_of_an_endpoint_that_cannot_be_used_is_named() {
    let secret = (SECRET_NAME, SECRET);
    let to = |url| ["--forward", url];
    let http = "--forward: the url is http: use https";
    let flags: [(&[&str], &str); 6] = [
        (&to("http://app:9000/"), http),
        (
            &to("ftp://app/"),
            "--forward: the url is not an http or https URL",
        ),
        (
            &["--forward", "https://a/x", "--forward", "https://a/y"],
            "--forward: handler name \"forward:a\" is taken",
        ),
        (
            &["--forward", "https://a/", "--forward-timeout", "0"],
            "--forward-timeout: the timeout must be",
        ),
        (
            &["--relay", "http://a"],
            "--relay, --relay-stream: the url is not the URL of a NATS server",
        ),
        (
            &["--relay", "nats://a", "--relay-stream", "a.b"],
            "--relay, --relay-stream: the stream is not a name",
        ),
    ];
    let dir = dir();
    for (flags, expected) in flags {
        let ended = run(dir.path(), flags, &[secret]);
        assert_eq!(ended.code, Some(2), "{flags:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(expected),
            "{flags:?}: {}",
            ended.stderr
        );
    }
    let endpoint = "[forward.endpoints.crm]\n";
    let files = [
        ("url = 1", "forward.endpoints.crm: "),
        ("", "forward.endpoints.crm: missing field `url`"),
        (
            "url = \"https://a/\"\ncolour = 1",
            "forward.endpoints.crm: unknown field `colour`",
        ),
        (
            "url = \"https://a/\"\nkinds = [\"odd\"]",
            "forward.endpoints.crm: kinds: \"odd\" is not one of",
        ),
        (
            "url = \"https://a/\"\nstatuses = [\"odd\"]",
            "forward.endpoints.crm: statuses: \"odd\" is not one of",
        ),
        (
            "url = \"https://a/\"\ntimeout = \"odd\"",
            "forward.endpoints.crm: timeout: expected seconds",
        ),
        (
            "url = \"https://a/\"\nsecret_file = \"none\"",
            "forward.endpoints.crm: secret_file: none: cannot be read",
        ),
        (
            "url = \"https://a/\"\nheaders = { host = \"b\" }",
            "forward.endpoints.crm: the header \"host\" is set by the handler",
        ),
    ];
    for (lines, expected) in files {
        fs::write(
            dir.path().join("receiver.toml"),
            format!("{endpoint}{lines}\n"),
        )
        .unwrap();
        let ended = run(dir.path(), &["--config", "receiver.toml"], &[secret]);
        assert_eq!(ended.code, Some(2), "{lines}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{lines}: {}", ended.stderr);
    }
}

#[test]
fn check_tries_the_settings_of_endpoints_and_sends_nothing() {
    let dir = dir();
    let cases = [
        (
            "https://a/",
            0,
            "ok      other programs    the settings of forward:crm are valid; nothing was sent\n",
        ),
        (
            "http://a/",
            1,
            "FAILED  other programs    forward.endpoints.crm: the url is http: use https",
        ),
    ];
    for (url, code, expected) in cases {
        let file = format!("[forward.endpoints.crm]\nurl = \"{url}\"\n");
        fs::write(dir.path().join("receiver.toml"), file).unwrap();
        let flags = [
            "check",
            "--port",
            "0",
            "--data-dir",
            "data",
            "--config",
            "receiver.toml",
        ];
        let ended = run(dir.path(), &flags, &[(SECRET_NAME, SECRET)]);
        assert!(ended.stdout.contains(expected), "{}", ended.stdout);
        assert_eq!(ended.code, Some(code), "{}", ended.stdout);
    }
}
