//! `pyannote-receiver health`, run as a process.

use std::{fs, net::TcpListener};

use tower_pyannote_test_support::process::{Ended, Server, dir, run};

#[test]
fn healthy_receiver_prints_the_status_and_exits_with_0() {
    let server = Server::start();
    let url = format!("http://{}/health", server.address);
    // A proxy that does not exist: the check does not use it.
    let env = [("http_proxy", "http://127.0.0.1:1")];
    let ended = run(server.dir.path(), &["health", "--url", &url], &env);
    let healthy = Ended {
        code: Some(0),
        stdout: "200 OK\n".to_owned(),
        stderr: String::new(),
    };
    assert_eq!(ended, healthy);
}

#[test]
fn receiver_whose_storage_fails_exits_with_1() {
    let server = Server::start();
    let url = format!("http://{}/health", server.address);
    fs::remove_dir_all(server.data()).unwrap();
    let ended = run(server.dir.path(), &["health", "--url", &url], &[]);
    let sick = Ended {
        code: Some(1),
        stdout: "503 Service Unavailable\n".to_owned(),
        stderr: format!(
            "error: --url {url}: the receiver answers 503 Service Unavailable; its log has the reason\n"
        ),
    };
    assert_eq!(ended, sick);
}

#[test]
fn receiver_that_does_not_listen_exits_with_1() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/health", free.local_addr().unwrap());
    drop(free);
    let ended = run(dir().path(), &["health", "--url", &url], &[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    let named = format!("error: --url {url}: ");
    assert!(ended.stderr.starts_with(&named), "{}", ended.stderr);
    let advice = "; check that the receiver runs and listens there\n";
    assert!(ended.stderr.ends_with(advice), "{}", ended.stderr);
}
