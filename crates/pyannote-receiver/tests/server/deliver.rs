//! `pyannote-receiver deliver`, run as a process.

use std::{fs, net::TcpListener};

use tower_pyannote_test_support::{
    bodies,
    http::SECRET,
    process::{Ended, SECRET_NAME, Server, dir, run},
};

#[test]
fn file_is_signed_with_the_first_secret_and_accepted() {
    let server = Server::start();
    let body = bodies::diarization(&bodies::job(1), 100_000);
    fs::write(server.dir.path().join("event.json"), &body).unwrap();
    let url = format!("http://{}/webhook", server.address);
    let secrets = format!("{SECRET},whs_old");
    let ended = run(
        server.dir.path(),
        &["deliver", "event.json", "--url", &url],
        &[(SECRET_NAME, &secrets)],
    );
    let accepted = Ended {
        code: Some(0),
        stdout: "200 OK\n".to_owned(),
        stderr: String::new(),
    };
    assert_eq!(ended, accepted);
    assert_eq!(server.kept().into_values().collect::<Vec<_>>(), [body]);
}

#[test]
fn refusal_prints_the_status_and_exits_with_1() {
    let server = Server::start();
    fs::write(server.dir.path().join("event.json"), "{}").unwrap();
    let url = format!("http://{}/webhook", server.address);
    for (secret, status) in [
        (SECRET, "400 Bad Request"),
        ("whs_other", "401 Unauthorized"),
    ] {
        let ended = run(
            server.dir.path(),
            &["deliver", "event.json", "--url", &url],
            &[(SECRET_NAME, secret)],
        );
        assert_eq!(ended.code, Some(1), "{status}");
        assert_eq!(ended.stdout, format!("{status}\n"));
        let error = format!("error: the delivery was refused with {status}");
        assert!(ended.stderr.starts_with(&error), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn delivery_that_cannot_be_sent_is_an_error_in_one_line() {
    let dir = dir();
    fs::write(dir.path().join("event.json"), "{}").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/webhook", free.local_addr().unwrap());
    drop(free);
    let secret = [(SECRET_NAME, SECRET)];
    for (name, flags, env, code, named) in [
        (
            "no server",
            &["deliver", "event.json", "--url", &closed][..],
            &secret[..],
            1,
            "--url http://127.0.0.1:",
        ),
        (
            "no url",
            &["deliver", "event.json", "--url", "x"],
            &secret,
            2,
            "--url",
        ),
        (
            "no file",
            &["deliver", "none"],
            &secret,
            2,
            "FILE none: cannot be read",
        ),
        ("no secret", &["deliver", "event.json"], &[], 2, SECRET_NAME),
    ] {
        let ended = run(dir.path(), flags, env);
        assert_eq!(ended.code, Some(code), "{name}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{name}");
        assert_eq!(ended.stderr.lines().count(), 1, "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(named), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains(SECRET), "{name}: {}", ended.stderr);
    }
}
