use std::time::Duration;

use pyannoteai_client::Client;
use tower_pyannote::clock::ManualClock;

use crate::server::{Reply, Server};
use crate::{builder_at, now, until};

fn ok() -> Reply {
    Reply::new(200, r#"{"status":"OK"}"#)
}

fn client(server: &Server, clock: &ManualClock) -> Client {
    builder_at(server.url())
        .with_clock(clock.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_burst_of_many_clones_keeps_to_100_requests_in_any_minute() {
    let server = Server::start(vec![ok(); 150]).await;
    let clock = ManualClock::new(now());
    let client = client(&server, &clock);
    let callers: Vec<_> = (0..150)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.test_key().await.unwrap() })
        })
        .collect();

    // The arrival of each request, as the time since the first.
    let step = Duration::from_nanos(666_666_667);
    let mut sent = Vec::new();
    let mut elapsed = Duration::ZERO;
    while sent.len() < 150 {
        let expected = sent.len() + if sent.is_empty() { 10 } else { 1 };
        // Only the first request in the queue sleeps. The others wait for it.
        let waiting = usize::from(expected < 150);
        until("the next requests", || {
            server.count() >= expected && clock.sleepers() == waiting
        })
        .await;
        assert_eq!(server.count(), expected, "at {elapsed:?}");
        sent.resize(expected, elapsed);
        clock.advance(step);
        elapsed += step;
    }
    for (index, first) in sent.iter().enumerate() {
        let window = sent[index..]
            .iter()
            .filter(|at| **at - *first <= Duration::from_secs(60));
        assert!(window.count() <= 100, "from {first:?}");
    }
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_429_pauses_all_callers() {
    let limited = Reply::new(429, "").with_header("retry-after", 30);
    let server = Server::start([limited, ok(), ok(), ok()]).await;
    let clock = ManualClock::new(now());
    let client = client(&server, &clock);
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.test_key().await.unwrap() })
    };
    let mut callers = vec![call()];
    until("the pause", || clock.sleepers() == 1).await;
    callers.extend([call(), call()]);
    clock.advance(Duration::from_secs(29));
    // The other callers are in the queue, or about to join it.
    tokio::task::yield_now().await;
    assert_eq!((server.count(), clock.sleepers()), (1, 1));
    clock.advance(Duration::from_secs(1));
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(server.count(), 4);
}

#[tokio::test]
async fn a_cancelled_caller_does_not_block_the_queue() {
    let limited = Reply::new(200, r#"{"status":"OK"}"#).with_header("x-ratelimit-remaining", 0);
    let server = Server::start([limited, ok()]).await;
    let clock = ManualClock::new(now());
    let client = client(&server, &clock);
    client.test_key().await.unwrap();
    let call = || {
        let client = client.clone();
        tokio::spawn(async move { client.test_key().await.unwrap() })
    };
    let (first, second) = (call(), call());
    until("the queue", || clock.sleepers() == 1).await;
    first.abort();
    second.abort();
    until("the end of the queue", || clock.sleepers() == 0).await;
    let third = call();
    until("the third", || clock.sleepers() == 1).await;
    clock.advance(Duration::from_secs(1));
    third.await.unwrap();
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn without_a_rate_limit_only_the_api_can_pause_requests() {
    let server = Server::start(vec![ok(); 200]).await;
    let clock = ManualClock::new(now());
    let client = builder_at(server.url())
        .with_clock(clock.clone())
        .without_rate_limit()
        .build()
        .unwrap();
    for _ in 0..200 {
        client.test_key().await.unwrap();
    }
    assert_eq!(server.count(), 200);
    server.reply(ok().with_header("x-ratelimit-remaining", 0));
    server.reply(ok());
    client.test_key().await.unwrap();
    let next = tokio::spawn(async move { client.test_key().await.unwrap() });
    until("the pause", || clock.sleepers() == 1).await;
    assert_eq!(server.count(), 201);
    clock.advance(Duration::from_secs(1));
    next.await.unwrap();
}
