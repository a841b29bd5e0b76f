//! Limits for one client.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, SECRET, connect},
    process::{SECRET_NAME, Server, dir, wait_until},
};

/// Sends a head whose body never comes.
fn open(server: &Server, client: Option<&str>) -> TcpStream {
    let post = Post::new(bodies::diarization("slow", 10_000));
    let mut head = post.head();
    if let Some(client) = client {
        head = head.replace(
            "\r\n\r\n",
            &format!("\r\nx-forwarded-for: {client}\r\n\r\n"),
        );
    }
    let mut stream = connect(server.address);
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

#[test]
fn connections_of_one_address_are_limited() {
    let server = Server::start_in(dir(), &["--max-per-client", "2"], &[(SECRET_NAME, SECRET)]);
    let held = [open(&server, None), open(&server, None)];
    let mut third = open(&server, None);
    // Closed without a response, or reset because its head was not read.
    assert!(!matches!(third.read(&mut [0]), Ok(1..)));
    drop(held);
    let post = Post::new(bodies::status_only("a"));
    wait_until("a free place", || {
        post.try_send(server.address)
            .is_some_and(|answer| answer.status == 200)
    });
}

#[test]
fn requests_of_one_client_behind_a_trusted_proxy_are_limited() {
    let flags = [
        "--max-per-client",
        "2",
        "--client-header",
        "X-Forwarded-For",
    ];
    let server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let send = |client: &'static str| {
        let post = Post::new(bodies::status_only("a")).header("x-forwarded-for", client);
        let answer = post.send(server.address);
        let asks_to_wait = answer.head.contains("retry-after: 5");
        assert_eq!(asks_to_wait, answer.status == 503, "{}", answer.head);
        answer.status
    };
    // The client chooses all addresses but the last.
    let mut held = Vec::new();
    wait_until("the limit", || {
        held.push(open(&server, Some("192.0.2.7, 192.0.2.1")));
        send("192.0.2.8, 192.0.2.1") == 503
    });
    assert_eq!(send("192.0.2.2"), 200);
    assert_eq!(send("2001:db8::1"), 200);
    drop(held);
    wait_until("a free place", || send("192.0.2.1") == 200);
}

#[test]
fn header_of_an_untrusted_peer_is_ignored() {
    let flags = [
        "--max-per-client",
        "2",
        "--client-header",
        "X-Forwarded-For",
        "--trusted-proxy",
        "192.0.2.9",
    ];
    let server = Server::start_in(dir(), &flags, &[(SECRET_NAME, SECRET)]);
    let _held = [
        open(&server, Some("192.0.2.1")),
        open(&server, Some("192.0.2.2")),
    ];
    let mut third = open(&server, Some("192.0.2.3"));
    assert!(!matches!(third.read(&mut [0]), Ok(1..)));
}
