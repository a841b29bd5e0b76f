use std::{
    io::{Read, Write},
    thread,
    time::{Duration, Instant},
};

use crate::{
    crowd::{Crowd, STORM},
    target::{LITTLE, Target},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Post, connect},
    process::{Server, dir},
};

#[test]
fn idle_connections() {
    let crowd = Crowd {
        connections: 600,
        greeting: Vec::new(),
        refrain: Vec::new(),
        pause: Duration::from_millis(10),
        reads: true,
    };
    Target::start().withstands("connections opened and left", LITTLE, |address| {
        crowd.besiege(address);
    });
}

#[test]
fn idle_connections_with_few_descriptors() {
    let crowd = Crowd {
        connections: 200,
        greeting: Vec::new(),
        refrain: Vec::new(),
        pause: Duration::from_millis(10),
        reads: true,
    };
    let target = Target::start_with(|env| Server::start_limited(dir(), 90, env));
    let attack = "connections opened and left, with 90 descriptors";
    target.withstands(attack, LITTLE, |address| crowd.besiege(address));
    let log = target.log();
    assert!(log.contains("the limit of open files is low"), "{log}");
    assert!(!log.contains("cannot accept connections"), "{log}");
}

#[test]
fn pipelining() {
    let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\nPOST /webhook HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
    for (attack, reads) in [("pipelining", true), ("pipelining, no answer read", false)] {
        let crowd = Crowd {
            connections: 64,
            greeting: Vec::new(),
            refrain: request.repeat(500).into_bytes(),
            pause: Duration::from_millis(1),
            reads,
        };
        Target::start().withstands(attack, LITTLE, |address| crowd.storm(address));
    }
}

#[test]
fn senders_that_leave_before_their_response() {
    let delivery = Post::new(bodies::diarization("left", 2_000));
    let delivery = [delivery.head().as_bytes(), &delivery.body].concat();
    let page = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_vec();
    for (attack, request) in [
        ("senders that leave after a delivery", delivery),
        ("senders that leave after asking for a page", page),
    ] {
        Target::start().withstands(attack, LITTLE, |address| {
            let begun = Instant::now();
            while begun.elapsed() < STORM {
                // Dropped at once, which closes it.
                let _ = connect(address).write_all(&request);
                thread::sleep(Duration::from_millis(10));
            }
        });
    }
}

#[test]
fn http_2_is_refused() {
    let target = Target::start();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut stream = connect(target.address);
    stream.write_all(preface).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400 "),
        "{answer:?}"
    );

    let upgrade = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n";
    let mut stream = connect(target.address);
    stream.write_all(upgrade).unwrap();
    let mut status = [0; 13];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 ", "it stays with HTTP/1.1");

    // The floods that HTTP/2 knows: streams opened and reset, and CONTINUATION without an end.
    let headers_and_reset = b"\0\0\x01\x01\x04\0\0\0\x01\x82\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08";
    let continuation = b"\0\0\x01\x09\0\0\0\0\x01\x82";
    let crowd = Crowd {
        connections: 100,
        greeting: preface.to_vec(),
        refrain: [&headers_and_reset[..], continuation]
            .concat()
            .repeat(1_000),
        pause: Duration::from_millis(1),
        reads: true,
    };
    target.withstands("HTTP/2 floods", LITTLE, |address| {
        crowd.storm(address);
    });
}
