//! `pyannote-receiver doctor`, run as a process.

use std::{fs, path::Path};

use tower_pyannote::{SigningKey, WebhookSecret};

use tower_pyannote_test_support::{
    http::SECRET,
    process::{Ended, SECRET_NAME, dir, run},
};

const BODY: &str = r#"{"jobId": "a", "status": "succeeded"}"#;
const NOW: &str = "1767225600";

fn signature() -> String {
    let key = SigningKey::new(&WebhookSecret::new(SECRET).unwrap());
    key.sign(NOW, BODY.as_bytes()).to_hex()
}

fn head(line_end: &str) -> String {
    let signature = signature();
    [
        "POST http://localhost:8000/webhook HTTP/1.1",
        "Host: localhost:8000",
        &format!("X-Request-Timestamp: {NOW}"),
        &format!("X-Signature:   {signature}"),
        "",
    ]
    .join(line_end)
}

fn doctor(dir: &Path, flags: &[&str], secret: &str) -> Ended {
    let flags = [&["doctor", "--now", NOW], flags].concat();
    run(dir, &flags, &[(SECRET_NAME, secret)])
}

const VERIFIED: &str = "verified: the delivery is accepted, under secret 1\n";

#[test]
fn stored_request_is_diagnosed() {
    let dir = dir();
    for (name, line_end) in [("CR LF", "\r\n"), ("LF", "\n")] {
        let request = format!("{}{line_end}{BODY}", head(line_end));
        fs::write(dir.path().join("request"), request).unwrap();
        let ended = doctor(dir.path(), &["--request", "request"], SECRET);
        let verified = Ended {
            code: Some(0),
            stdout: VERIFIED.to_owned(),
            stderr: String::new(),
        };
        assert_eq!(ended, verified, "{name}");
    }

    let request = format!("{}\n{BODY}\n", head("\n"));
    fs::write(dir.path().join("request"), request).unwrap();
    let quoted = format!("'{SECRET}'");
    let ended = doctor(dir.path(), &["--request", "request"], &quoted);
    assert_eq!(ended.code, Some(1));
    assert_eq!(
        ended.stdout,
        "secret_quoted: secret 1 has quotes around it: remove them\n\
         body_newline_added: the body has a newline at its end that was added: keep the bytes unchanged\n\
         matches_otherwise: with the above undone the signature matches, under secret 1\n"
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn headers_are_read_in_the_forms_of_curl() {
    let dir = dir();
    let signature = signature();
    fs::write(dir.path().join("body"), BODY).unwrap();
    for (name, headers) in [
        ("as they came", head("\r\n")),
        (
            "curl -v",
            format!(
                "* Connected to: localhost\n> POST / HTTP/1.1\n> X-Signature: {signature}\n> X-Request-Timestamp: {NOW}\n\
                 >\n< HTTP/1.1 401 Unauthorized\n< X-Signature: none\n"
            ),
        ),
        (
            "curl -H",
            format!(
                "curl 'http://localhost:8000' \\\n  -H 'X-Signature: {signature}' \\\n  --header \"x-request-timestamp: {NOW}\"\n"
            ),
        ),
        (
            "folded",
            format!("X-Signature:\n {signature}\nX-Request-Timestamp:\n\t{NOW}\n"),
        ),
    ] {
        fs::write(dir.path().join("headers"), headers).unwrap();
        let flags = ["--headers", "headers", "--body", "body"];
        let ended = doctor(dir.path(), &flags, SECRET);
        assert_eq!(ended.stdout, VERIFIED, "{name}");
        assert_eq!(ended.code, Some(0), "{name}");
    }
}

#[test]
fn secret_that_the_server_refuses_is_diagnosed() {
    let dir = dir();
    fs::write(
        dir.path().join("request"),
        format!("{}\n{BODY}", head("\n")),
    )
    .unwrap();
    let padded = format!("{SECRET}\n");
    let ended = doctor(dir.path(), &["--request", "request"], &padded);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with("secret_padded: secret 1 has"),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains(SECRET));
}

#[test]
fn too_many_header_lines_are_an_error() {
    let dir = dir();
    for (name, count, code) in [("many", 20_000, 0), ("too many", 200_000, 2)] {
        let lines: String = (0..count)
            .map(|number| format!("x-{number}: 0\n"))
            .collect();
        let request = format!("{}{lines}\n{BODY}", head("\n"));
        fs::write(dir.path().join("request"), request).unwrap();
        let ended = doctor(dir.path(), &["--request", "request"], SECRET);
        assert_eq!(ended.code, Some(code), "{name}: {}", ended.stderr);
        if code == 2 {
            let asked =
                "the head has more header lines than any server takes: keep those of one request";
            assert!(ended.stderr.contains(asked), "{}", ended.stderr);
            assert_eq!(ended.stderr.matches('\n').count(), 1);
        }
    }
}

#[test]
fn secret_is_read_from_the_env_file() {
    let dir = dir();
    fs::write(
        dir.path().join("request"),
        format!("{}\n{BODY}", head("\n")),
    )
    .unwrap();
    fs::write(dir.path().join(".env"), format!("{SECRET_NAME}={SECRET}\n")).unwrap();
    let flags = ["doctor", "--request", "request", "--now", NOW];
    assert_eq!(run(dir.path(), &flags, &[]).stdout, VERIFIED);
}

#[test]
fn output_contains_no_secret_and_no_signature() {
    let dir = dir();
    let request = format!("{}\n{}", head("\n"), BODY.replace("succeeded", "failed"));
    fs::write(dir.path().join("request"), request).unwrap();
    let ended = doctor(dir.path(), &["--request", "request"], SECRET);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with("nothing_matches: "),
        "{}",
        ended.stdout
    );
    assert!(!ended.stdout.contains(SECRET) && !ended.stdout.contains(&signature()));
    assert_eq!(ended.stderr, "");
}

#[test]
fn invalid_arguments_exit_with_2_and_one_line() {
    let dir = dir();
    fs::write(dir.path().join("file"), "").unwrap();
    let secret = [(SECRET_NAME, SECRET)];
    let ask = "give --request FILE, or --headers FILE and --body FILE";
    for (name, flags, env, named) in [
        ("no file", &["doctor"][..], &secret[..], ask),
        ("no body", &["doctor", "--headers", "file"], &secret, ask),
        (
            "both",
            &["doctor", "--request", "file", "--body", "file"],
            &secret,
            ask,
        ),
        (
            "no such file",
            &["doctor", "--request", "none"],
            &secret,
            "--request none: cannot be read",
        ),
        (
            "a directory",
            &["doctor", "--headers", "file", "--body", "."],
            &secret,
            "--body .: cannot be read",
        ),
        (
            "no time",
            &["doctor", "--request", "file", "--now", "today"],
            &secret,
            "--now",
        ),
        (
            "no time that can be",
            &[
                "doctor",
                "--request",
                "file",
                "--now",
                "18446744073709551615",
            ],
            &secret,
            "--now",
        ),
        (
            "no secret",
            &["doctor", "--request", "file"],
            &[],
            SECRET_NAME,
        ),
        ("no such command", &["dcotor"], &secret, "dcotor"),
    ] {
        let ended = run(dir.path(), flags, env);
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{name}");
        assert_eq!(ended.stderr.matches('\n').count(), 1, "{name}");
        assert!(ended.stderr.contains(named), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{name}: {}", ended.stderr);
    }
}
