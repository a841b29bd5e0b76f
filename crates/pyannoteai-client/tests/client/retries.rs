use std::time::Duration;

use pyannoteai_client::{ClientErrorKind, ListJobs};

use crate::server::{Behavior, RawServer, Reply, Server};
use crate::{SkippingClock, builder, builder_at, client};

#[tokio::test]
async fn a_read_is_retried_after_a_5xx_response() {
    for status in [500, 502, 503, 504] {
        let failed = Reply::new(status, "");
        let server = Server::start([failed.clone(), failed, Reply::job("running")]).await;
        client(&server).job("job-1").await.unwrap();
        assert_eq!(server.lines(), ["GET /v1/jobs/job-1"; 3], "{status}");
    }
}

#[tokio::test]
async fn every_kind_of_read_is_retried() {
    let server = Server::start([
        Reply::new(500, ""),
        Reply::new(200, r#"{"items":[]}"#),
        Reply::new(500, ""),
        Reply::new(200, r#"{"status":"OK"}"#),
    ])
    .await;
    let client = client(&server);
    client.jobs(&ListJobs::new()).await.unwrap();
    client.test_key().await.unwrap();
    assert_eq!(
        server.lines(),
        [
            "GET /v2/jobs",
            "GET /v2/jobs",
            "GET /v1/test",
            "GET /v1/test"
        ]
    );
}

#[tokio::test]
async fn a_read_fails_after_three_retries_with_growing_delays() {
    let server = Server::start(vec![Reply::new(500, ""); 5]).await;
    let (clock, builder) = builder(&server);
    let error = builder.build().unwrap().job("job-1").await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Server);
    assert_eq!(server.count(), 4);
    let [first, second, third] = clock.sleeps()[..] else {
        panic!("three delays");
    };
    let jittered = |delay: Duration, from: u64| {
        let from = Duration::from_millis(from);
        (from..=2 * from).contains(&delay)
    };
    assert!(jittered(first, 500), "{first:?}");
    assert!(jittered(second, 1_000), "{second:?}");
    assert!(jittered(third, 2_000), "{third:?}");
}

#[tokio::test]
async fn a_permanent_error_is_not_retried() {
    for status in [301, 400, 401, 402, 403, 404, 422] {
        let server = Server::start([Reply::new(status, ""), Reply::job("running")]).await;
        client(&server).job("job-1").await.unwrap_err();
        assert_eq!(server.count(), 1, "{status}");
    }
}

#[tokio::test]
async fn retries_can_be_turned_off() {
    let server = Server::start([Reply::new(500, ""), Reply::job("running")]).await;
    let client = builder(&server).1.with_max_retries(0).build().unwrap();
    client.job("job-1").await.unwrap_err();
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn a_read_is_retried_after_every_connection_failure() {
    for behavior in [
        Behavior::Close,
        Behavior::Reset,
        Behavior::Cut,
        Behavior::Hang,
    ] {
        let server = RawServer::start([behavior]).await;
        let client = builder_at(server.url())
            .with_clock(SkippingClock::default())
            .with_timeout(Duration::from_millis(500))
            .unwrap()
            .build()
            .unwrap();
        let job = client.job("job-1").await;
        assert_eq!(job.unwrap().job_id(), "job-1", "{behavior:?}");
        assert_eq!(server.count(), 2, "{behavior:?}");
    }
}

#[tokio::test]
async fn a_read_without_a_response_times_out() {
    let server = Server::start([Reply::never()]).await;
    let client = builder(&server)
        .1
        .with_timeout(Duration::from_millis(100))
        .unwrap()
        .with_max_retries(0)
        .build()
        .unwrap();
    let error = client.job("job-1").await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Timeout);
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn after_429_a_read_waits_for_the_requested_pause() {
    let limited = Reply::new(429, "");
    let server = Server::start([
        limited.clone().with_header("retry-after", 17),
        limited
            .clone()
            .with_header("x-ratelimit-reset", crate::NOW + 17 + 5),
        limited.with_header("retry-after", 86_400),
        Reply::job("running"),
    ])
    .await;
    let (clock, builder) = builder(&server);
    builder.build().unwrap().job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [17, 5, 120].map(Duration::from_secs));
}

#[tokio::test]
async fn a_used_up_limit_delays_the_next_request() {
    let used_up = Reply::job("running")
        .with_header("x-ratelimit-remaining", 0)
        .with_header("x-ratelimit-reset", crate::NOW + 30);
    let server = Server::start([used_up, Reply::job("running")]).await;
    let (clock, builder) = builder(&server);
    let client = builder.build().unwrap();
    client.job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), []);
    client.clone().job("job-1").await.unwrap();
    assert_eq!(clock.sleeps(), [Duration::from_secs(30)]);
}
