use std::{io::Write, time::Duration};

use crate::{
    crowd::Crowd,
    http::{Answer, connect},
    target::{LITTLE, Target},
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
        // It is refused before it is whole.
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
        // Just below what is refused at once, and then no more.
        refrain: line(0, 6_000).into_bytes(),
        pause: Duration::from_millis(1),
        reads: true,
    };
    target.withstands("header bombs", LITTLE, |address| crowd.besiege(address));
}
