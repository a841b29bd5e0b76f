//! The order in which jobs are fetched.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::StatusCode;
use pyannoteai_client::Client;
use tokio::{net::TcpListener, sync::oneshot};
use tower_pyannote::clock::{Clock, ManualClock, SystemClock, SystemSleep};
use tower_pyannote_inbox::{Inbox, ReconcileReport};

use crate::place::{Place, entry, until, until_handled};

use super::world::{HOUR, Shifted, builder, diarize, eager, noting};

/// An API on loopback. It numbers its jobs, gives each the answer that a test sets, and logs the requests for jobs.
#[derive(Clone, Default)]
struct Api(Arc<Mutex<Jobs>>);

#[derive(Default)]
struct Jobs {
    submitted: usize,
    asked: Vec<usize>,
    refusals: HashMap<usize, u16>,
    /// The number of further requests for a job that are answered with 503.
    blips: HashMap<usize, usize>,
    /// The status of all answers, if set.
    down: Option<u16>,
    url: String,
}

impl Api {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = Self::default();
        api.lock().url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/v1/diarize", post(submit))
            .route("/v1/jobs/{id}", get(job))
            .route("/v2/jobs", get(async || r#"{"items":[]}"#))
            .with_state(api.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        api
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Jobs> {
        self.0.lock().unwrap()
    }

    fn url(&self) -> String {
        self.lock().url.clone()
    }

    fn refuse(&self, jobs: impl IntoIterator<Item = usize>, status: u16) {
        let refusals = jobs.into_iter().map(|job| (job, status));
        self.lock().refusals.extend(refusals);
    }

    fn set_down(&self, status: Option<u16>) {
        self.lock().down = status;
    }

    /// Returns the jobs that were requested since the last call.
    fn asked(&self) -> Vec<usize> {
        std::mem::take(&mut self.lock().asked)
    }
}

async fn submit(State(api): State<Api>) -> String {
    let mut jobs = api.lock();
    let id = jobs.submitted;
    jobs.submitted += 1;
    format!(r#"{{"jobId":"{id}","status":"created"}}"#)
}

async fn job(State(api): State<Api>, Path(id): Path<usize>) -> Response {
    let mut jobs = api.lock();
    jobs.asked.push(id);
    if let Some(left @ 1..) = jobs.blips.get_mut(&id) {
        *left -= 1;
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    match jobs.down.or(jobs.refusals.get(&id).copied()) {
        Some(status) => StatusCode::from_u16(status).unwrap().into_response(),
        None => format!(r#"{{"jobId":"{id}","status":"succeeded","output":{{"diarization":[]}}}}"#)
            .into_response(),
    }
}

struct World {
    api: Api,
    inbox: Inbox,
    client: Client,
}

impl World {
    /// One whose jobs were submitted a minute after another, the first in number first.
    async fn start(place: &Place, jobs: usize) -> Self {
        let api = Api::start().await;
        let inbox = place.open().await;
        let client = client(&api, &inbox, 0);
        let world = Self { api, inbox, client };
        for minute in 0..jobs {
            let minutes = HOUR - i64::try_from(minute).unwrap();
            world.submit_ago(minutes).await;
        }
        world
    }

    /// Submits a job with a submission time this many minutes ago.
    async fn submit_ago(&self, minutes: i64) {
        let client = client(&self.api, &self.inbox, -minutes);
        client.diarize(diarize()).await.unwrap();
    }
}

/// Returns a client whose clock is this many minutes ahead.
fn client(api: &Api, inbox: &Inbox, minutes: i64) -> Client {
    let clock = Shifted::default();
    clock.set(minutes);
    let client = builder(&api.url(), inbox, &clock)
        .with_webhook("https://example.com/webhook")
        .unwrap();
    client.build().unwrap()
}

/// The first that the API saw may have overtaken one another, as four are asked for at a time.
fn assert_in_order(asked: &[usize], expected: std::ops::Range<usize>) {
    let mut sorted = asked.to_vec();
    sorted.sort_unstable();
    assert_eq!(sorted, expected.collect::<Vec<_>>());
    for (turn, job) in asked.iter().enumerate() {
        assert!(turn.abs_diff(*job) <= 4, "{asked:?}");
    }
}

fn became(report: &ReconcileReport) -> (u64, u64, u64) {
    (report.missing, report.new, report.failed)
}

#[tokio::test]
async fn after_an_outage_the_oldest_job_comes_first() {
    for status in [500, 401] {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, 20).await;
        let mut reconciler = eager(&world.client, &world.inbox);
        world.api.set_down(Some(status));
        for _ in 0..3 {
            let report = reconciler.pass().await;
            assert_eq!((report.missing, report.new), (20, 0));
            let asked = world.api.asked();
            assert!(asked.contains(&0), "{asked:?}");
            assert!(asked.len() <= 12, "{asked:?}");
        }
        world.api.set_down(None);
        assert_eq!(became(&reconciler.pass().await), (20, 20, 0));
        assert_in_order(&world.api.asked(), 0..20);
    }
}

#[tokio::test]
async fn an_outage_of_a_few_jobs_keeps_their_order() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 5).await;
    let mut reconciler = eager(&world.client, &world.inbox);
    world.api.set_down(Some(503));
    assert_eq!(became(&reconciler.pass().await), (5, 0, 5));
    world.api.asked();
    world.api.set_down(None);
    for _ in 0..10 {
        world.client.diarize(diarize()).await.unwrap();
    }
    assert_eq!(became(&reconciler.pass().await), (15, 15, 0));
    assert_in_order(&world.api.asked(), 0..15);
}

#[tokio::test]
async fn many_jobs_that_fail_during_an_outage_do_not_delay_other_jobs() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 31).await;
    world.api.refuse((0..31).filter(|job| *job != 29), 500);
    let mut reconciler = eager(&world.client, &world.inbox);
    // The last one is taken to find out whether the service is down, and next the one before.
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.new), (31, 0));
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.new), (31, 1));
    assert_eq!(entry(&world.inbox, "29").await.status, "succeeded");

    // Each pass asks for another one, so that none waits for more passes than there are jobs.
    world.client.diarize(diarize()).await.unwrap();
    let mut passes = 0;
    while reconciler.pass().await.new == 0 {
        passes += 1;
        assert!(passes <= 31);
    }
    assert_eq!(entry(&world.inbox, "31").await.status, "succeeded");
}

#[tokio::test]
async fn a_single_failing_job_comes_last() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 8).await;
    world.api.refuse([0], 500);
    let mut reconciler = eager(&world.client, &world.inbox);
    assert_eq!(became(&reconciler.pass().await), (8, 7, 1));
    for _ in 0..8 {
        world.client.diarize(diarize()).await.unwrap();
    }
    world.api.asked();
    assert_eq!(became(&reconciler.pass().await), (9, 8, 1));
    let turn = world.api.asked().iter().position(|job| *job == 0).unwrap();
    assert!(turn >= 5, "{turn}");
}

#[tokio::test]
async fn a_job_that_fails_briefly_is_retried_before_other_jobs() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 30).await;
    world.api.lock().blips.extend([(0, 1), (1, 1), (2, 7)]);
    let report = eager(&world.client, &world.inbox).pass().await;
    assert_eq!(became(&report), (30, 29, 1));
    assert_eq!(report.errors, 4, "two of them are those of the third");
    let asked = world.api.asked();
    for job in [0, 1, 2] {
        let turns = asked.iter().enumerate().filter(|(_, asked)| **asked == job);
        let turns: Vec<_> = turns.map(|(turn, _)| turn).collect();
        assert!(matches!(turns[..], [_, ..=12]), "{job}: {asked:?}");
    }
}

#[tokio::test]
async fn after_a_long_outage_fetchable_jobs_come_before_expired_ones() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 0).await;
    for hours in 40..60 {
        world.submit_ago(hours * HOUR).await;
    }
    world.submit_ago(24 * HOUR - 1).await;
    let report = eager(&world.client, &world.inbox).pass().await;
    assert_eq!(became(&report), (21, 21, 0));
    let asked = world.api.asked();
    assert!(asked[..4].contains(&20), "{asked:?}");
    let oldest = asked.iter().position(|job| *job == 19);
    assert!(oldest >= Some(16), "{asked:?}");
}

#[tokio::test]
async fn jobs_that_the_api_refuses_do_not_end_the_pass() {
    for status in [400, 404, 410, 422] {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, 15).await;
        world.api.refuse(0..14, status);
        let report = eager(&world.client, &world.inbox).pass().await;
        assert_eq!(became(&report), (15, 1, 14), "{status}");
    }
}

#[tokio::test]
async fn a_pass_keeps_to_the_rate_limit() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 15).await;
    let clock = ManualClock::new(SystemTime::now());
    let client = Client::builder("sk_example")
        .with_base_url(world.api.url())
        .unwrap()
        .with_rate_limit(10)
        .unwrap()
        .with_clock(clock.clone())
        .build()
        .unwrap();
    let mut reconciler = eager(&client, &world.inbox).without_listing();
    let pass = tokio::spawn(async move { reconciler.pass().await });
    // A tenth at once, and nine more in a minute.
    let step = Duration::from_nanos(6_666_666_667);
    for sent in 1..=15 {
        let waiting = usize::from(sent < 15);
        until("the next request", async || {
            world.api.lock().asked.len() >= sent && clock.sleepers() == waiting
        })
        .await;
        assert_eq!(world.api.lock().asked.len(), sent);
        clock.advance(step);
    }
    assert_eq!(became(&pass.await.unwrap()), (15, 15, 0));
}

/// A clock that panics once on command, as a recorder of logs or metrics may.
#[derive(Clone, Default)]
struct PanicsOnce(Arc<AtomicBool>);

impl Clock for PanicsOnce {
    type Sleep = SystemSleep;

    fn now(&self) -> SystemTime {
        assert!(!self.0.swap(false, Ordering::SeqCst), "as it was told to");
        SystemClock.now()
    }

    fn sleep(&self, duration: Duration) -> SystemSleep {
        SystemClock.sleep(duration)
    }
}

#[tokio::test]
async fn a_pass_that_panics_does_not_end_the_reconciler() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, 3).await;
    let clock = PanicsOnce::default();
    let client = Client::builder("sk_example")
        .with_base_url(world.api.url())
        .unwrap()
        .without_rate_limit()
        .with_clock(clock.clone());
    let reconciler = eager(&client.build().unwrap(), &world.inbox)
        .with_interval(Duration::from_millis(20))
        .unwrap();
    let log = crate::place::Log::default();
    let _worker = crate::place::spawn(crate::place::hasty(&world.inbox, noting(&log)));
    clock.0.store(true, Ordering::SeqCst);
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(reconciler.run_until(async {
        let _ = stopped.await;
    }));
    until_handled(&world.inbox, 3).await;
    assert!(!clock.0.load(Ordering::SeqCst));
    drop(stop);
    running.await.unwrap();
}
