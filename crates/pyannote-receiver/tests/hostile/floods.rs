use std::time::Duration;

use crate::{
    crowd::Crowd,
    target::{BUDGET, LITTLE, Target},
};

use tower_pyannote_test_support::http::Post;

/// A delivery of 16 MiB that is invalid only by its body.
fn forged() -> Post {
    Post::signed_with("whs_guess", Vec::new(), 0)
}

fn forged_head(length: usize) -> Vec<u8> {
    let post = forged().header("content-length", &length.to_string());
    post.head().into_bytes()
}

fn slow_bodies(connections: usize) {
    let crowd = Crowd {
        connections,
        greeting: [forged_head(UPLOAD), vec![b'{'; 2_000]].concat(),
        refrain: b" ".to_vec(),
        pause: Duration::from_millis(100),
        reads: true,
    };
    Target::start().withstands("slow bodies", LITTLE, |address| crowd.besiege(address));
}

#[test]
fn slow_bodies_500_at_once() {
    slow_bodies(500);
}

#[test]
fn slow_bodies_on_more_than_the_maximum_of_connections() {
    slow_bodies(600);
}

#[test]
fn bodies_just_fast_enough() {
    let crowd = Crowd {
        connections: 600,
        greeting: forged_head(UPLOAD),
        refrain: vec![b' '; 2_000],
        pause: Duration::from_millis(100),
        reads: true,
    };
    Target::start().withstands("bodies just fast enough", BUDGET, |address| {
        crowd.besiege(address);
    });
}

#[test]
fn large_announced_bodies_that_use_up_the_budget() {
    // Just below the maximum of connections, and fast enough to use up the budget within 3 s.
    let crowd = Crowd {
        connections: 190,
        greeting: forged_head(128 << 20),
        refrain: vec![b'x'; 50 << 10],
        pause: Duration::from_millis(100),
        reads: true,
    };
    Target::start().withstands("large announced bodies", BUDGET, |address| {
        // The second siege starts with the heap that the first one fragmented.
        crowd.besiege(address);
        crowd.besiege(address);
    });
}

#[test]
fn chunked_bodies_that_never_end() {
    let head = forged().chunked().head().into_bytes();
    let large = format!("{:x}\r\n{}\r\n", 256 << 10, "x".repeat(256 << 10));
    let extended = format!("1;{}\r\nx\r\n", "e".repeat(1_000));
    for (attack, connections, chunk) in [
        ("large chunks", 32, large),
        ("chunks of a byte", 32, "1\r\nx\r\n".repeat(10_000)),
        ("chunk extensions", 64, extended.repeat(100)),
    ] {
        let crowd = Crowd {
            connections,
            greeting: head.clone(),
            refrain: chunk.into_bytes(),
            pause: Duration::from_millis(1),
            reads: true,
        };
        Target::start().withstands(attack, BUDGET, |address| crowd.storm(address));
    }
}

#[test]
fn forged_uploads() {
    let stale = Post::signed_with("whs_guess", vec![b' '; UPLOAD], 3_600);
    for (attack, connections, head) in [
        ("32 forged uploads", 32, forged_head(UPLOAD)),
        ("500 forged uploads", 500, forged_head(UPLOAD)),
        ("500 stale uploads", 500, stale.head().into_bytes()),
    ] {
        let crowd = Crowd {
            connections,
            greeting: [head, vec![b' '; UPLOAD]].concat(),
            refrain: Vec::new(),
            pause: Duration::from_millis(1),
            reads: true,
        };
        Target::start().withstands(attack, BUDGET, |address| crowd.storm(address));
    }
}

const UPLOAD: usize = 16 << 20;
