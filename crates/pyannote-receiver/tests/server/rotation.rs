//! Secrets are read again at SIGHUP.

use std::fs;

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET},
    process::{SECRET_NAME, Server, dir, wait_until},
};

fn status(server: &Server, secret: &str) -> u16 {
    let post = Post::signed_with(secret, bodies::status_only("a"), 0);
    post.send(server.address).status
}

#[test]
fn new_secret_is_used_after_sighup_without_a_restart() {
    let dir = dir();
    let file = dir.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    let env = [("PYANNOTEAI_WEBHOOK_SECRET_FILE", "secret")];
    let mut server = Server::start_in(dir, &[], &env);
    assert_eq!(
        (status(&server, SECRET), status(&server, "whs_new")),
        (200, 401)
    );

    fs::write(&file, format!("whs_new,{SECRET}\n")).unwrap();
    assert_eq!(status(&server, "whs_new"), 401);
    server.signal("HUP");
    wait_until("the new secret", || status(&server, "whs_new") == 200);
    assert_eq!(status(&server, SECRET), 200);

    fs::write(&file, "whs_new").unwrap();
    server.signal("HUP");
    wait_until("the end of the old secret", || {
        status(&server, SECRET) == 401
    });
    assert_eq!(status(&server, "whs_new"), 200);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.log().contains("whs_"));
}

#[test]
fn broken_file_keeps_the_secret_in_use_and_logs_an_error() {
    let dir = dir();
    let file = dir.path().join("secret");
    fs::write(&file, SECRET).unwrap();
    let env = [("PYANNOTEAI_WEBHOOK_SECRET_FILE", "secret")];
    let server = Server::start_in(dir, &[], &env);
    for (number, broken) in [Some(" \n"), None].into_iter().enumerate() {
        match broken {
            Some(text) => fs::write(&file, text).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        server.signal("HUP");
        wait_until("the error", || {
            let log = server.log();
            let errors = log
                .matches("SIGHUP: the webhook secret cannot be read; the one before stays in use");
            errors.count() == number + 1
        });
        assert_eq!(status(&server, SECRET), 200);
    }
}

#[test]
fn api_key_is_read_again_and_the_reconciler_restarts_with_it() {
    let dir = dir();
    let file = dir.path().join("key");
    fs::write(&file, "sk_old").unwrap();
    let env = [
        (SECRET_NAME, SECRET),
        ("PYANNOTEAI_API_KEY_FILE", "key"),
        ("PYANNOTEAI_API_URL", "http://127.0.0.1:1"),
    ];
    let mut server = Server::start_in(dir, &["--reconcile"], &env);
    fs::write(&file, "sk_new").unwrap();
    server.signal("HUP");
    wait_until("the log line", || {
        server.log().contains("SIGHUP: the API key was read again")
    });
    assert_eq!(status(&server, SECRET), 200);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
    assert!(!server.log().contains("sk_"));
}
