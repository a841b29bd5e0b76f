use std::time::Duration;

use pyannoteai_client::{Client, IdentifyRequest, MediaKey, VoiceprintRequest};
use tower_pyannote::clock::ManualClock;

use crate::server::{Reply, Server};
use crate::{AUDIO, builder, builder_at, diarize, now, until};

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

/// A reply to a read of a job, with a limit of this endpoint.
fn job_with_limit(remaining: u32, reset: u64) -> Reply {
    Reply::job("running")
        .with_header("x-ratelimit-limit", 300)
        .with_header("x-ratelimit-remaining", remaining)
        .with_header("x-ratelimit-reset", reset)
}

#[tokio::test]
async fn polling_never_delays_a_submission() {
    let server = Server::start(vec![Reply::job("running"); 30]).await;
    let clock = ManualClock::new(now());
    let client = client(&server, &clock);
    // The burst of job reads, then one that waits for the limit.
    for _ in 0..30 {
        client.job("job-1").await.unwrap();
    }
    let polling = client.clone();
    let poll = tokio::spawn(async move { polling.job("job-1").await.unwrap() });
    until("the poll", || clock.sleepers() == 1).await;
    for reply in [Reply::submitted(), Reply::submitted(), Reply::submitted()] {
        server.reply(reply);
    }
    client.diarize(diarize()).await.unwrap();
    let identify = IdentifyRequest::new(AUDIO, [("Ann", "AAAA")]).unwrap();
    client.identify(identify).await.unwrap();
    let voiceprint = VoiceprintRequest::new(AUDIO).unwrap();
    client.voiceprint(voiceprint).await.unwrap();
    let media = r#"{"url":"https://storage.example/x"}"#;
    server.reply(Reply::new(201, media));
    let key = MediaKey::new("a.wav").unwrap();
    client.media_input(&key).await.unwrap();
    assert_eq!((server.count(), clock.sleepers()), (34, 1));

    server.reply(Reply::job("running"));
    clock.advance(Duration::from_nanos(222_222_223));
    poll.await.unwrap();
}

#[tokio::test]
async fn a_limit_of_one_endpoint_pauses_only_its_group() {
    let limited = Reply::new(429, "")
        .with_header("x-ratelimit-limit", 300)
        .with_header("x-ratelimit-remaining", 0)
        .with_header("x-ratelimit-reset", 30);
    let server = Server::start([limited, Reply::submitted(), Reply::job("running")]).await;
    let clock = ManualClock::new(now());
    let client = client(&server, &clock);
    let polling = client.clone();
    let poll = tokio::spawn(async move { polling.job("job-1").await.unwrap() });
    until("the pause", || clock.sleepers() == 1).await;
    client.diarize(diarize()).await.unwrap();
    clock.advance(Duration::from_secs(29));
    tokio::task::yield_now().await;
    assert_eq!((server.count(), clock.sleepers()), (2, 1));
    clock.advance(Duration::from_secs(1));
    poll.await.unwrap();
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn a_limit_of_all_endpoints_pauses_every_group() {
    let limited = Reply::new(429, "").with_header("x-ratelimit-reset", crate::NOW + 30);
    let server = Server::start([limited, Reply::job("running"), Reply::submitted()]).await;
    let (clock, builder) = builder(&server);
    let client = builder.with_max_retries(0).build().unwrap();
    client.job("job-1").await.unwrap_err();
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [Duration::from_secs(30)]);

    // From now on all endpoints share 100 requests a minute: the burst of 10 is for job reads and submissions.
    for _ in 0..9 {
        server.reply(Reply::submitted());
    }
    for _ in 0..10 {
        client.diarize(diarize()).await.unwrap();
    }
    assert_eq!(clock.sleeps().len(), 2, "{:?}", clock.sleeps());
}

#[tokio::test]
async fn a_relative_reset_delays_the_next_request_by_its_seconds() {
    let server = Server::start([job_with_limit(0, 30), Reply::job("running")]).await;
    let (clock, builder) = builder(&server);
    let client = builder.build().unwrap();
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), []);
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [Duration::from_secs(30)]);
}

#[tokio::test]
async fn requests_that_the_api_counts_for_others_are_not_sent() {
    let server = Server::start([
        job_with_limit(2, 40),
        job_with_limit(1, 40),
        job_with_limit(0, 40),
        Reply::job("running"),
    ])
    .await;
    let (clock, builder) = builder(&server);
    let client = builder.without_rate_limit().build().unwrap();
    for _ in 0..3 {
        client.job("job-1").await.unwrap();
    }
    assert_eq!(clock.sleeps(), []);
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [Duration::from_secs(40)]);
}

#[tokio::test]
async fn a_set_rate_limit_is_that_of_each_group() {
    let server = Server::start([]).await;
    let (clock, builder) = builder(&server);
    let client = builder.with_rate_limit(10).unwrap().build().unwrap();
    for reply in [
        Reply::job("running"),
        Reply::submitted(),
        Reply::job("running"),
    ] {
        server.reply(reply);
    }
    client.job("job-1").await.unwrap();
    client.diarize(diarize()).await.unwrap();
    assert_eq!(clock.sleeps(), []);
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [Duration::from_nanos(6_666_666_667)]);
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
