use std::time::Duration;

use pyannoteai_client::{ClientError, ClientErrorKind, ConfigError, JobWaiter, PendingJob};
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use tower_pyannote::{HandlerRegistry, Status, WebhookEvent, clock::ManualClock, event::Delivery};

use crate::server::{Reply, Server};
use crate::{builder_at, diarize, now, until};

const SECOND: Duration = Duration::from_secs(1);

struct Fixture {
    server: Server,
    clock: ManualClock,
    waiter: JobWaiter,
    registry: HandlerRegistry,
}

impl Fixture {
    async fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let server = Server::start(replies).await;
        let clock = ManualClock::new(now());
        let client = builder_at(server.url())
            .with_clock(clock.clone())
            .with_max_retries(0)
            .build()
            .unwrap();
        let waiter = JobWaiter::new(client);
        let registry = HandlerRegistry::new()
            .register("waiter", waiter.clone())
            .unwrap();
        Self {
            server,
            clock,
            waiter,
            registry,
        }
    }

    /// Delivers a webhook to the handlers.
    async fn deliver(&self, job_id: &str, status: &str) {
        let body = format!(r#"{{"jobId":"{job_id}","status":"{status}","by":"webhook"}}"#);
        let event = WebhookEvent::new(body.into(), Delivery::at(now())).unwrap();
        let report = self
            .registry
            .clone()
            .ready()
            .await
            .unwrap()
            .call(event)
            .await
            .unwrap();
        assert!(report.is_success());
    }

    async fn advance_once_asleep(&self, duration: Duration) {
        until("the wait", || self.clock.sleepers() == 1).await;
        self.clock.advance(duration);
    }

    fn subscriptions(&self) -> String {
        let shown = format!("{:?}", self.waiter);
        shown[shown.find("Subscriptions").unwrap()..].to_owned()
    }
}

fn wait(mut job: PendingJob) -> JoinHandle<Result<WebhookEvent, ClientError>> {
    tokio::spawn(async move { job.wait().await })
}

fn by_webhook(event: &WebhookEvent) -> bool {
    event.raw().windows(9).any(|part| part == b"\"webhook\"")
}

const NOTHING: &str = "Subscriptions { waiting: 0, early: 0, .. }, .. }";

#[tokio::test]
async fn a_webhook_ends_the_wait() {
    let fixture = Fixture::new([Reply::submitted()]).await;
    let job = fixture.waiter.submit(diarize()).await.unwrap();
    assert_eq!(job.job_id(), "job-1");
    assert_eq!(job.submitted().unwrap().job_id, "job-1");
    let waiting = wait(job);
    until("the wait", || fixture.clock.sleepers() == 1).await;
    fixture.deliver("job-2", "succeeded").await;
    fixture.deliver("job-1", "running").await;
    assert!(!waiting.is_finished());
    fixture.deliver("job-1", "succeeded").await;
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(
        (event.job_id(), event.status()),
        ("job-1", &Status::Succeeded)
    );
    assert!(by_webhook(&event));
    assert_eq!(fixture.server.lines(), ["POST /v1/diarize"], "no poll");
    assert_eq!(fixture.subscriptions(), NOTHING);
}

#[tokio::test]
async fn a_poll_ends_the_wait_if_the_webhook_is_lost() {
    let fixture = Fixture::new([
        Reply::submitted(),
        Reply::job("created"),
        Reply::new(500, ""),
        Reply::job("failed"),
    ])
    .await;
    // The first interval begins with the submission, not with the creation of the waiter.
    fixture.clock.advance(100 * SECOND);
    let waiting = wait(fixture.waiter.submit(diarize()).await.unwrap());
    for (polls, interval) in [(0, 5_000), (1, 7_500), (2, 11_250)] {
        fixture
            .advance_once_asleep(Duration::from_millis(interval - 1))
            .await;
        assert_eq!(
            (fixture.server.count(), fixture.clock.sleepers()),
            (1 + polls, 1)
        );
        fixture.clock.advance(Duration::from_millis(1));
        until("the poll", || fixture.server.count() == 2 + polls).await;
    }
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(*event.status(), Status::Failed);
    assert!(!by_webhook(&event));
    assert_eq!(fixture.subscriptions(), NOTHING);
}

#[tokio::test]
async fn polls_are_at_most_the_longest_interval_apart() {
    let mut replies = vec![Reply::submitted()];
    replies.extend(vec![Reply::job("running"); 6]);
    let fixture = Fixture::new(replies).await;
    let waiter = fixture
        .waiter
        .clone()
        .with_poll_interval(SECOND, 2 * SECOND)
        .unwrap();
    let waiting = wait(waiter.submit(diarize()).await.unwrap());
    for (polls, interval) in [1_000, 1_500, 2_000, 2_000, 2_000].into_iter().enumerate() {
        fixture
            .advance_once_asleep(Duration::from_millis(interval))
            .await;
        until("the poll", || fixture.server.count() == 2 + polls).await;
    }
    waiting.abort();
}

#[tokio::test]
async fn a_webhook_before_the_response_to_the_submission_is_kept() {
    let fixture = Fixture::new([Reply::never()]).await;
    let waiter = fixture.waiter.clone();
    let aborted = tokio::spawn(async move { waiter.submit(diarize()).await });
    until("the submission", || fixture.server.count() == 1).await;
    fixture.deliver("job-1", "succeeded").await;
    assert_eq!(
        fixture.subscriptions(),
        "Subscriptions { waiting: 0, early: 1, .. }, .. }"
    );

    // The second submission gets its response while the first is in flight, and finds the event.
    fixture.server.reply(Reply::submitted());
    let mut job = fixture.waiter.submit(diarize()).await.unwrap();
    let event = job.wait().await.unwrap();
    assert!(by_webhook(&event));
    assert_eq!(
        job.wait().await.unwrap().raw(),
        event.raw(),
        "the second wait returns the same event"
    );
    fixture.deliver("job-3", "succeeded").await;
    aborted.abort();
    aborted.await.unwrap_err();
    assert_eq!(fixture.subscriptions(), NOTHING);
}

#[tokio::test]
async fn a_webhook_without_a_pending_job_is_not_kept() {
    let fixture = Fixture::new([Reply::submitted()]).await;
    fixture.deliver("job-1", "succeeded").await;
    assert_eq!(fixture.subscriptions(), NOTHING);
    let job = fixture.waiter.submit(diarize()).await.unwrap();
    assert_eq!(
        fixture.subscriptions(),
        "Subscriptions { waiting: 1, early: 0, .. }, .. }"
    );
    drop(job);
    assert_eq!(fixture.subscriptions(), NOTHING);
}

#[tokio::test]
async fn a_dropped_wait_does_not_postpone_the_poll() {
    let fixture = Fixture::new([Reply::submitted(), Reply::job("canceled")]).await;
    let mut job = fixture.waiter.submit(diarize()).await.unwrap();
    let (dropped, dropped_at) = tokio::sync::oneshot::channel();
    let waiting = tokio::spawn(async move {
        assert!(job.wait_timeout(3 * SECOND).await.unwrap().is_none());
        dropped.send(()).unwrap();
        job.wait_timeout(3 * SECOND).await.unwrap()
    });
    until("the wait and its limit", || fixture.clock.sleepers() == 2).await;
    fixture.clock.advance(3 * SECOND);
    dropped_at.await.unwrap();
    until("the second wait", || fixture.clock.sleepers() == 2).await;
    fixture.clock.advance(2 * SECOND);
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(*event.status(), Status::Canceled);
}

#[tokio::test]
async fn a_job_submitted_elsewhere_is_polled_at_once() {
    let fixture = Fixture::new([Reply::job("succeeded")]).await;
    let mut job = fixture.waiter.wait_for("job-1");
    assert!(job.submitted().is_none());
    let event = job.wait().await.unwrap();
    assert_eq!(*event.status(), Status::Succeeded);
}

#[tokio::test]
async fn an_unknown_job_ends_the_wait_but_its_webhook_still_arrives() {
    let fixture = Fixture::new([Reply::new(404, ""), Reply::new(401, "")]).await;
    let mut job = fixture.waiter.wait_for("job-1");
    assert_eq!(
        job.wait().await.unwrap_err().kind(),
        ClientErrorKind::NotFound
    );
    fixture.deliver("job-1", "succeeded").await;
    assert!(by_webhook(&job.wait().await.unwrap()));
}

#[tokio::test]
async fn every_wait_for_a_job_gets_its_event() {
    let fixture = Fixture::new([]).await;
    let waiter = fixture.waiter.clone().without_polling();
    let waiting: Vec<_> = (0..3).map(|_| wait(waiter.wait_for("job-1"))).collect();
    fixture.deliver("job-1", "succeeded").await;
    for waiting in waiting {
        assert!(by_webhook(&waiting.await.unwrap().unwrap()));
    }
    assert_eq!(fixture.server.count(), 0);
}

#[tokio::test]
async fn a_webhook_during_a_poll_ends_the_wait() {
    let fixture = Fixture::new([Reply::never()]).await;
    let waiting = wait(fixture.waiter.wait_for("job-1"));
    until("the poll", || fixture.server.count() == 1).await;
    fixture.deliver("job-1", "succeeded").await;
    assert!(by_webhook(&waiting.await.unwrap().unwrap()));
}

#[tokio::test]
async fn invalid_poll_intervals_are_refused() {
    let fixture = Fixture::new([]).await;
    for (first, longest) in [(Duration::ZERO, SECOND), (2 * SECOND, SECOND)] {
        let refused = fixture
            .waiter
            .clone()
            .with_poll_interval(first, longest)
            .unwrap_err();
        let ConfigError::InvalidSetting { setting, .. } = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(setting, "poll interval");
    }
}
