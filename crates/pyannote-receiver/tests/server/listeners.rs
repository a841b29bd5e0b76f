//! The public and the private listener, and the probes.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, SECRET, connect, get},
    process::{SECRET_NAME, Server, dir, run, wait_until},
};

const PAGES: [&str; 5] = ["/", "/livez", "/readyz", "/health", "/metrics"];

#[test]
fn installed_program_serves_only_the_webhook_publicly() {
    let env = [(SECRET_NAME, SECRET)];
    let flags = ["--port", "0", "--data-dir", "data"];
    let mut server = Server::start_with(dir(), &flags, &env);
    let private = server.private_address();
    assert!(private.ip().is_loopback());
    let post = Post::new(bodies::status_only("a"));
    assert_eq!(post.send(server.address).status, 200);
    assert_eq!(post.send(private).status, 404);
    for page in PAGES {
        assert_eq!(get(server.address, page, "*/*").status, 404, "{page}");
        assert_eq!(get(private, page, "*/*").status, 200, "{page}");
    }
    let listed = get(private, "/", "application/json").body;
    assert!(
        !listed.contains("/webhook") && listed.contains("/readyz"),
        "{listed}"
    );
    let log = server.log();
    assert!(
        log.contains(&format!("POST http://{}/webhook", server.address)),
        "{log}"
    );
    assert!(
        log.contains(&format!("GET http://{private}/metrics")),
        "{log}"
    );
}

#[test]
fn one_listener_serves_all_when_asked_for() {
    let server = Server::start();
    for page in PAGES {
        assert_eq!(get(server.address, page, "*/*").status, 200, "{page}");
    }
    assert_eq!(get(server.address, "/livez", "*/*").body, "ok\n");
}

#[test]
fn taken_private_address_is_an_error_that_names_the_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let flags = ["--port", "0", "--private-listen", &address];
    let ended = run(dir().path(), &flags, &[(SECRET_NAME, SECRET)]);
    assert_eq!(ended.code, Some(1));
    let line = format!(
        "error: --private-listen {address} (or WEBHOOK_SERVER_PRIVATE_LISTEN): cannot listen there: Address already in use"
    );
    assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
}

#[test]
fn receiver_that_stops_is_alive_but_not_ready() {
    let flags = ["--private-listen", "127.0.0.1:0"];
    let mut server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let private = server.private_address();
    let post = Post::new(bodies::diarization("a", 20_000));
    let mut stream = connect(server.address);
    let half = post.body.len() / 2;
    stream.write_all(post.head().as_bytes()).unwrap();
    stream.write_all(&post.body[..half]).unwrap();
    let received = format!("\npyannote_webhook_in_flight_bytes {half}\n");
    wait_until("the first half", || {
        get(private, "/metrics", "*/*").body.contains(&received)
    });
    server.signal("TERM");
    wait_until("refusal", || TcpStream::connect(server.address).is_err());
    let ready = get(private, "/readyz", "*/*");
    assert_eq!((ready.status, &*ready.body), (503, "stopping\n"));
    assert_eq!(get(private, "/livez", "*/*").status, 200);
    stream.write_all(&post.body[half..]).unwrap();
    assert_eq!(Answer::read(&mut stream).unwrap().status, 200);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn receiver_without_its_database_is_alive_but_not_ready() {
    let database = ["--database-url", "sqlite://elsewhere/inbox.sqlite"];
    let server = Server::start_in(dir(), &database, &[(SECRET_NAME, SECRET)]);
    assert_eq!(get(server.address, "/readyz", "*/*").status, 200);
    let place = server.dir.path().join("elsewhere");
    std::fs::rename(&place, server.dir.path().join("moved")).unwrap();
    wait_until("503", || {
        get(server.address, "/readyz", "*/*").status == 503
    });
    assert_eq!(get(server.address, "/readyz", "*/*").body, "unavailable\n");
    assert_eq!(get(server.address, "/livez", "*/*").status, 200);
}
