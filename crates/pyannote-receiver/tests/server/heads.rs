//! Requests that a proxy and a server could read in different ways.

use std::io::{Read, Write};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, connect},
    process::Server,
};

#[test]
fn ambiguous_request_is_refused_with_400() {
    let server = Server::start();
    for (name, head) in [
        ("no host", "GET / HTTP/1.1\r\n\r\n"),
        ("two hosts", "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n"),
        (
            "two hosts with HTTP/1.0",
            "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",
        ),
        (
            "a bare line feed after the request line",
            "GET / HTTP/1.1\nhost: a\r\n\r\n",
        ),
        (
            "a bare line feed after a header",
            "GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n",
        ),
        (
            "a bare line feed at the end",
            "GET / HTTP/1.1\r\nhost: a\r\n\n",
        ),
        (
            "a bare line feed before the request line",
            "\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ),
        (
            "a doubled coding",
            "POST /webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "two codings",
            "POST /webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "a stacked coding",
            "POST /webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "another coding",
            "POST /webhook HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\n\r\n",
        ),
        (
            "two lengths",
            "POST /webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
        ),
        (
            "a folded header",
            "GET / HTTP/1.1\r\nhost: a\r\nx: y\r\n z\r\n\r\n",
        ),
        (
            "a blank before a colon",
            "GET / HTTP/1.1\r\nhost : a\r\n\r\n",
        ),
    ] {
        let mut stream = connect(server.address);
        stream.write_all(head.as_bytes()).unwrap();
        let answer = Answer::read(&mut stream).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((answer.status, &*answer.body), (400, ""), "{name}");
    }
}

#[test]
fn plain_requests_share_a_connection() {
    let server = Server::start();
    let mut stream = connect(server.address);
    let mut sent = Vec::new();
    for number in 0..3 {
        let post = Post::new(bodies::diarization(&bodies::job(number), 10_000));
        let head = post.head().replace("connection: close\r\n", "");
        sent.extend_from_slice(b"\r\n");
        sent.extend_from_slice(head.as_bytes());
        sent.extend_from_slice(&post.body);
        sent.extend_from_slice(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n");
    }
    sent.extend_from_slice(b"GET /livez HTTP/1.0\r\n\r\n");
    // Pieces of any size end in the middle of a head or a body.
    for piece in sent.chunks(3_001) {
        stream.write_all(piece).unwrap();
    }
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.matches(" 200 OK\r\n").count(), 7, "{answers}");
    assert_eq!(server.kept().len(), 3);
}

#[test]
fn second_request_on_a_connection_is_watched_too() {
    let server = Server::start();
    let post = Post::new(bodies::status_only("a"));
    let head = post.head().replace("connection: close\r\n", "");
    let mut stream = connect(server.address);
    let second = b"GET / HTTP/1.1\r\nhost: a\nx: y\r\n\r\n";
    let sent = [head.as_bytes(), &post.body, second].concat();
    stream.write_all(&sent).unwrap();
    let mut answers = String::new();
    stream.read_to_string(&mut answers).unwrap();
    assert!(answers.starts_with("HTTP/1.1 200 OK"), "{answers}");
    assert!(answers.contains("HTTP/1.1 400 Bad Request"), "{answers}");
}

#[test]
fn connection_closes_after_a_chunked_body() {
    let server = Server::start();
    let post = Post::new(bodies::status_only("a")).chunked();
    let head = post.head().replace("connection: close\r\n", "");
    let length = post.body.len();
    let mut sent = head.into_bytes();
    write!(sent, "{length:x}\r\n").unwrap();
    sent.extend_from_slice(&post.body);
    sent.extend_from_slice(b"\r\n0\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n");
    let mut stream = connect(server.address);
    stream.write_all(&sent).unwrap();
    let answer = Answer::read(&mut stream).unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    assert_eq!(answer.body, "");
}
