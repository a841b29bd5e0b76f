//! Processes that only receive, only work, or only migrate.

use std::fs;

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, get},
    process::{SECRET_NAME, Server, dir, kept_in, run, wait_until},
};

#[test]
fn one_process_receives_and_another_works() {
    let env = [(SECRET_NAME, SECRET)];
    let receiver = Server::start_in(dir(), &["--role", "receive"], &env);
    let body = bodies::status_only("a");
    let post = Post::new(body.as_slice());
    assert_eq!(post.send(receiver.address).status, 200);
    assert_eq!(receiver.inbox()["waiting"], 1);

    // The worker needs no secret.
    let data = receiver.data();
    let flags = [
        "--role",
        "work",
        "--port",
        "0",
        "--private-listen",
        "none",
        "--data-dir",
        data.to_str().unwrap(),
    ];
    let worker = Server::start_with(dir(), &flags, &[]);
    wait_until("the event", || receiver.inbox()["handled"] == 1);
    assert_eq!(kept_in(&data).into_values().collect::<Vec<_>>(), [body]);
    assert_eq!(post.send(worker.address).status, 404);
    assert_eq!(get(worker.address, "/readyz", "*/*").status, 200);
}

#[test]
fn worker_with_a_private_listener_has_no_public_one() {
    let flags = [
        "--role",
        "work",
        "--port",
        "1",
        "--private-listen",
        "127.0.0.1:0",
        "--data-dir",
        "data",
    ];
    let mut worker = Server::start_with(dir(), &flags, &[]);
    assert_eq!(get(worker.address, "/livez", "*/*").status, 200);
    worker.signal("TERM");
    assert_eq!(worker.wait().code(), Some(0));
    assert_eq!(worker.rest_of_stdout(), "");
}

#[test]
fn reconciler_alone_needs_only_the_api_key() {
    let flags = [
        "--role",
        "reconcile",
        "--port",
        "0",
        "--private-listen",
        "none",
    ];
    let ended = run(dir().path(), &flags, &[]);
    assert_eq!(ended.code, Some(2));
    let missing = "--reconcile: the client's api key is not set: set PYANNOTEAI_API_KEY";
    assert!(ended.stderr.contains(missing), "{}", ended.stderr);
    let env = [
        ("PYANNOTEAI_API_KEY", "sk_a"),
        ("PYANNOTEAI_API_URL", "http://127.0.0.1:1"),
    ];
    let server = Server::start_with(dir(), &flags, &env);
    assert_eq!(server.inbox()["waiting"], 0);
}

#[test]
fn server_without_migrations_needs_inbox_migrate() {
    let dir = dir();
    let database = ["--database-url", "sqlite://inbox.sqlite"];
    let flags = [&["--no-migrate", "--port", "0"], &database[..]].concat();
    let ended = run(dir.path(), &flags, &[(SECRET_NAME, SECRET)]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("run the migrations"),
        "{}",
        ended.stderr
    );
    let _ = fs::remove_file(dir.path().join("inbox.sqlite"));

    let migrate = [&["inbox", "migrate"], &database[..]].concat();
    let ended = run(dir.path(), &migrate, &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "the inbox's tables are up to date\n")
    );
    let again = [&migrate[..], &["--json"]].concat();
    let ended = run(dir.path(), &again, &[]);
    assert_eq!(
        (ended.code, &*ended.stdout),
        (Some(0), "{\n  \"migrated\": true\n}\n")
    );
    let flags = [&["--no-migrate"], &database[..]].concat();
    let server = Server::start_in(dir, &flags, &[(SECRET_NAME, SECRET)]);
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
}
