use std::time::Duration;

use pyannoteai_client::{Client, ClientError, ClientErrorKind, ConfigError, JobWaiter, PendingJob};
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use tower_pyannote::{HandlerRegistry, Status, WebhookEvent, clock::ManualClock, event::Delivery};

use crate::server::{Reply, Server};
use crate::{KEY, diarize, now, until};

const SECOND: Duration = Duration::from_secs(1);

struct Stage {
    server: Server,
    clock: ManualClock,
    waiter: JobWaiter,
    registry: HandlerRegistry,
}

impl Stage {
    async fn set(replies: impl IntoIterator<Item = Reply>) -> Self {
        let server = Server::start(replies).await;
        let clock = ManualClock::new(now());
        let client = Client::builder(KEY)
            .with_base_url(server.url())
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

    fn left_behind(&self) -> String {
        let shown = format!("{:?}", self.waiter);
        shown[shown.find("Desk").unwrap()..].to_owned()
    }
}

fn wait(mut job: PendingJob) -> JoinHandle<Result<WebhookEvent, ClientError>> {
    tokio::spawn(async move { job.wait().await })
}

fn by_webhook(event: &WebhookEvent) -> bool {
    event.raw().windows(9).any(|part| part == b"\"webhook\"")
}

const NOTHING: &str = "Desk { waiting: 0, early: 0, .. }, .. }";

#[tokio::test]
async fn the_webhook_ends_the_wait() {
    let stage = Stage::set([Reply::submitted()]).await;
    let job = stage.waiter.submit(diarize()).await.unwrap();
    assert_eq!(job.job_id(), "job-1");
    assert_eq!(job.submitted().unwrap().job_id, "job-1");
    let waiting = wait(job);
    until("the wait", || stage.clock.sleepers() == 1).await;
    stage.deliver("job-2", "succeeded").await;
    stage.deliver("job-1", "running").await;
    assert!(!waiting.is_finished());
    stage.deliver("job-1", "succeeded").await;
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(
        (event.job_id(), event.status()),
        ("job-1", &Status::Succeeded)
    );
    assert!(by_webhook(&event));
    assert_eq!(
        stage.server.lines(),
        ["POST /v1/diarize"],
        "it was not polled"
    );
    assert_eq!(stage.left_behind(), NOTHING);
}

#[tokio::test]
async fn a_poll_ends_the_wait_if_the_webhook_is_lost() {
    let stage = Stage::set([
        Reply::submitted(),
        Reply::job("created"),
        Reply::new(500, ""),
        Reply::job("failed"),
    ])
    .await;
    // The first interval begins with the submission, not with the waiter.
    stage.clock.advance(100 * SECOND);
    let waiting = wait(stage.waiter.submit(diarize()).await.unwrap());
    for (polls, interval) in [(0, 5_000), (1, 7_500), (2, 11_250)] {
        stage
            .advance_once_asleep(Duration::from_millis(interval - 1))
            .await;
        assert_eq!(
            (stage.server.count(), stage.clock.sleepers()),
            (1 + polls, 1)
        );
        stage.clock.advance(Duration::from_millis(1));
        until("the poll", || stage.server.count() == 2 + polls).await;
    }
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(*event.status(), Status::Failed);
    assert!(!by_webhook(&event));
    assert_eq!(stage.left_behind(), NOTHING);
}

#[tokio::test]
async fn polls_are_at_most_the_longest_interval_apart() {
    let mut replies = vec![Reply::submitted()];
    replies.extend(vec![Reply::job("running"); 6]);
    let stage = Stage::set(replies).await;
    let waiter = stage
        .waiter
        .clone()
        .with_poll_interval(SECOND, 2 * SECOND)
        .unwrap();
    let waiting = wait(waiter.submit(diarize()).await.unwrap());
    for (polls, interval) in [1_000, 1_500, 2_000, 2_000, 2_000].into_iter().enumerate() {
        stage
            .advance_once_asleep(Duration::from_millis(interval))
            .await;
        until("the poll", || stage.server.count() == 2 + polls).await;
    }
    waiting.abort();
}

#[tokio::test]
async fn a_webhook_before_the_submissions_answer_is_not_lost() {
    let stage = Stage::set([Reply::never()]).await;
    let waiter = stage.waiter.clone();
    let broken_off = tokio::spawn(async move { waiter.submit(diarize()).await });
    until("the submission", || stage.server.count() == 1).await;
    stage.deliver("job-1", "succeeded").await;
    assert_eq!(
        stage.left_behind(),
        "Desk { waiting: 0, early: 1, .. }, .. }"
    );

    // The answer to the second comes while the first is still in flight, and finds the webhook.
    stage.server.reply(Reply::submitted());
    let mut job = stage.waiter.submit(diarize()).await.unwrap();
    let event = job.wait().await.unwrap();
    assert!(by_webhook(&event));
    assert_eq!(job.wait().await.unwrap().raw(), event.raw(), "and again");
    stage.deliver("job-3", "succeeded").await;
    broken_off.abort();
    broken_off.await.unwrap_err();
    assert_eq!(stage.left_behind(), NOTHING);
}

#[tokio::test]
async fn webhooks_of_jobs_that_nobody_waits_for_leave_nothing() {
    let stage = Stage::set([Reply::submitted()]).await;
    stage.deliver("job-1", "succeeded").await;
    assert_eq!(stage.left_behind(), NOTHING);
    let job = stage.waiter.submit(diarize()).await.unwrap();
    assert_eq!(
        stage.left_behind(),
        "Desk { waiting: 1, early: 0, .. }, .. }"
    );
    drop(job);
    assert_eq!(stage.left_behind(), NOTHING);
}

#[tokio::test]
async fn a_wait_may_be_given_up_and_taken_up_without_putting_off_the_poll() {
    let stage = Stage::set([Reply::submitted(), Reply::job("canceled")]).await;
    let mut job = stage.waiter.submit(diarize()).await.unwrap();
    let (given_up, given_up_at) = tokio::sync::oneshot::channel();
    let waiting = tokio::spawn(async move {
        assert!(job.wait_timeout(3 * SECOND).await.unwrap().is_none());
        given_up.send(()).unwrap();
        job.wait_timeout(3 * SECOND).await.unwrap()
    });
    until("the wait and its limit", || stage.clock.sleepers() == 2).await;
    stage.clock.advance(3 * SECOND);
    given_up_at.await.unwrap();
    until("the second wait", || stage.clock.sleepers() == 2).await;
    stage.clock.advance(2 * SECOND);
    let event = waiting.await.unwrap().unwrap();
    assert_eq!(*event.status(), Status::Canceled);
}

#[tokio::test]
async fn a_known_job_is_polled_at_once() {
    let stage = Stage::set([Reply::job("succeeded")]).await;
    let mut job = stage.waiter.wait_for("job-1");
    assert!(job.submitted().is_none());
    let event = job.wait().await.unwrap();
    assert_eq!(*event.status(), Status::Succeeded);
}

#[tokio::test]
async fn a_job_that_is_not_known_ends_the_wait_but_its_webhook_still_counts() {
    let stage = Stage::set([Reply::new(404, ""), Reply::new(401, "")]).await;
    let mut job = stage.waiter.wait_for("job-1");
    assert_eq!(
        job.wait().await.unwrap_err().kind(),
        ClientErrorKind::NotFound
    );
    stage.deliver("job-1", "succeeded").await;
    assert!(by_webhook(&job.wait().await.unwrap()));
}

#[tokio::test]
async fn all_who_wait_for_a_job_get_its_event() {
    let stage = Stage::set([]).await;
    let waiter = stage.waiter.clone().without_polling();
    let waiting: Vec<_> = (0..3).map(|_| wait(waiter.wait_for("job-1"))).collect();
    stage.deliver("job-1", "succeeded").await;
    for waiting in waiting {
        assert!(by_webhook(&waiting.await.unwrap().unwrap()));
    }
    assert_eq!(stage.server.count(), 0);
}

#[tokio::test]
async fn a_webhook_during_a_poll_ends_the_wait() {
    let stage = Stage::set([Reply::never()]).await;
    let waiting = wait(stage.waiter.wait_for("job-1"));
    until("the poll", || stage.server.count() == 1).await;
    stage.deliver("job-1", "succeeded").await;
    assert!(by_webhook(&waiting.await.unwrap().unwrap()));
}

#[tokio::test]
async fn intervals_that_make_no_sense_are_refused() {
    let stage = Stage::set([]).await;
    for (first, longest) in [(Duration::ZERO, SECOND), (2 * SECOND, SECOND)] {
        let refused = stage
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
