use std::{
    collections::VecDeque,
    io::Write,
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{
    crowd::Crowd,
    target::{BUDGET, LITTLE, Target},
};

use tower_pyannote_test_support::{
    bodies,
    http::{Answer, Post, connect},
};

#[test]
fn slow_headers() {
    let crowd = Crowd {
        connections: 600,
        greeting: b"POST /webhook HTTP/1.1\r\nhost: a\r\n".to_vec(),
        refrain: b"x".to_vec(),
        pause: Duration::from_millis(100),
        reads: true,
    };
    Target::start().withstands("slow headers", LITTLE, |address| crowd.besiege(address));
}

#[test]
fn half_heads_500_a_second_while_large_bodies_arrive() {
    let target = Target::start();
    let posts: Vec<Post> = (0..2)
        .map(|_| Post::new(large(&bodies::job(target.next()))))
        .collect();
    let mut answers = Vec::new();
    target.withstands("500 half heads a second", BUDGET, |address| {
        thread::scope(|scope| {
            let senders: Vec<_> = posts
                .iter()
                .map(|post| scope.spawn(move || send_slowly(post, address)))
                .collect();
            send_half_heads(address, || {
                senders.iter().all(|sender| sender.is_finished())
            });
            answers = senders
                .into_iter()
                .map(|sender| sender.join().unwrap())
                .collect();
        });
    });
    assert_eq!(answers, [Some(200); 2]);
}

/// A body of 4 MiB, mostly one string, which a debug build scans fast enough to serve others meanwhile.
fn large(job: &str) -> String {
    let text = "x".repeat(4 << 20);
    format!(r#"{{"jobId":"{job}","status":"succeeded","output":{{"text":"{text}"}}}}"#)
}

/// Sends a delivery at 1 MiB/s, and returns the status of the response.
fn send_slowly(post: &Post, address: SocketAddr) -> Option<u16> {
    let mut stream = connect(address);
    stream.write_all(post.head().as_bytes()).ok()?;
    let begun = Instant::now();
    for (number, piece) in (1..).zip(post.body.chunks((1 << 20) / 20)) {
        stream.write_all(piece).ok()?;
        thread::sleep((number * Duration::from_millis(50)).saturating_sub(begun.elapsed()));
    }
    Answer::read(&mut stream).map(|answer| answer.status)
}

/// Opens 500 connections a second, and sends half a head on each.
fn send_half_heads(address: SocketAddr, over: impl Fn() -> bool) {
    let mut open = VecDeque::new();
    let begun = Instant::now();
    for number in 1.. {
        if over() {
            return;
        }
        if let Ok(mut stream) = TcpStream::connect(address) {
            let _ = stream.write_all(b"POST /webhook HTTP/1.1\r\nhost: a\r\n");
            open.push_back(stream);
        }
        if open.len() > 600 {
            open.pop_front();
        }
        thread::sleep((number * Duration::from_millis(2)).saturating_sub(begun.elapsed()));
    }
}

#[test]
fn header_bombs() {
    let target = Target::start();
    let line = |name: usize, length: usize| format!("x-{name}: {}\r\n", "a".repeat(length));
    let start = "POST /webhook HTTP/1.1\r\nhost: a\r\n";
    let many: String = (0..65).map(|name| line(name, 10)).collect();
    let large = line(0, 1 << 20);
    let endless_line = format!("POST /{} HTTP/1.1\r\n", "a".repeat(1 << 20));
    for (name, head) in [
        ("too many", format!("{start}{many}\r\n")),
        ("one of a mebibyte", format!("{start}{large}\r\n")),
        ("an address of a mebibyte", endless_line),
    ] {
        let mut stream = connect(target.address);
        // The server refuses the head before it is complete.
        let _ = stream.write_all(head.as_bytes());
        let status = Answer::read(&mut stream).map(|answer| answer.status);
        assert!(
            matches!(status, Some(414 | 431) | None),
            "{name}: {status:?}"
        );
    }
    let crowd = Crowd {
        connections: 600,
        greeting: start.into(),
        // Just below the limit, and then nothing more.
        refrain: line(0, 6_000).into_bytes(),
        pause: Duration::from_millis(1),
        reads: true,
    };
    target.withstands("header bombs", LITTLE, |address| crowd.besiege(address));
}
