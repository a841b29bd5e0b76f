//! Status-only events whose output is fetched before the handlers run.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use pyannoteai_client::{Client, FetchOutput, reqwest};
use serde_json::Value;
use tokio::net::TcpListener;
use tower_pyannote::{
    Diarization, HandlerRegistry, TypedEvent, WebhookEvent,
    event::{Delivery, Source},
    testing::EventBuilder,
};
use tower_pyannote_archive::Archive;
use tower_pyannote_inbox::{Inbox, Replay};

use crate::place::{
    Log, Place, entry, hasty, on_each_store, spawn, until, until_handled, until_state,
};

use super::world::{World, builder, diarize};

on_each_store! {
    one_fetch_gives_all_handlers_the_output,
    a_failed_fetch_is_retried_until_the_handlers_get_the_output,
    a_retry_of_one_handler_fetches_again_and_runs_that_handler_alone,
    an_output_that_does_not_exist_is_a_permanent_failure,
    an_event_of_more_than_a_day_ago_is_a_permanent_failure_without_a_request,
    an_archived_body_says_that_it_was_fetched,
}

/// The simulator behind a gate, and an inbox that receives its webhooks.
struct Gated {
    world: World,
    gate: Gate,
    client: Client,
}

impl Gated {
    async fn start(place: &Place, replies: impl IntoIterator<Item = Fate>) -> Self {
        let world = World::start(place, |config| config).await;
        let gate = Gate::start(world.simulator.url(), replies).await;
        let client = builder(&gate.url, &world.inbox, &world.clock)
            .with_timeout(Duration::from_millis(500))
            .unwrap();
        Self {
            client: client.build().unwrap(),
            world,
            gate,
        }
    }

    /// A registry that fetches outputs, before handlers are added.
    fn registry(&self) -> HandlerRegistry {
        let fetch = FetchOutput::new(self.client.clone());
        HandlerRegistry::new()
            .with_preparation("fetch_output", fetch)
            .unwrap()
    }

    async fn submit(&self) -> String {
        let request = diarize().with_webhook_status_only(true);
        self.world
            .submit(request.with_reference("meeting-42").unwrap())
            .await
    }

    fn inbox(&self) -> &Inbox {
        &self.world.inbox
    }
}

/// Writes down what the handlers of the output and of all events get.
fn noting(registry: HandlerRegistry, log: &Log) -> HandlerRegistry {
    let (turns, any, bare) = (log.clone(), log.clone(), log.clone());
    registry
        .on_diarization("turns", move |event: TypedEvent<Diarization>| {
            let has_turns = !event.output().diarization.is_empty();
            turns.add(format!(
                "turns {} {has_turns}",
                event.webhook_event().attempt()
            ));
            async { Ok(()) }
        })
        .unwrap()
        .on_any("any", move |event: WebhookEvent| {
            let (source, reference) = (event.source(), event.reference().unwrap_or("-"));
            any.add(format!("any {} {source} {reference}", event.attempt()));
            async { Ok(()) }
        })
        .unwrap()
        .on_status_only("bare", move |_: WebhookEvent| {
            bare.add("bare");
            async { Ok(()) }
        })
        .unwrap()
}

async fn one_fetch_gives_all_handlers_the_output(place: Place) {
    let gated = Gated::start(&place, []).await;
    let log = Log::default();
    let _worker = spawn(hasty(gated.inbox(), noting(gated.registry(), &log)));
    let job_id = gated.submit().await;
    until_handled(gated.inbox(), 1).await;
    assert_eq!(log.lines(), ["turns 1 true", "any 1 api meeting-42"]);
    assert_eq!(gated.gate.paths(), [format!("/v1/jobs/{job_id}")]);

    // The inbox keeps the delivery as it was received.
    let id = entry(gated.inbox(), &job_id).await.id;
    let stored = gated.inbox().event(&id).await.unwrap().unwrap();
    assert_eq!((stored.kind(), stored.source()), (None, Source::Webhook));

    // Events with an output, and of jobs that failed, are not fetched.
    for event in [EventBuilder::diarization(), EventBuilder::failed()] {
        let event = event.build_event(Delivery::at(SystemTime::now())).unwrap();
        gated.inbox().commit(&event).await.unwrap();
    }
    until_handled(gated.inbox(), 3).await;
    assert_eq!(gated.gate.paths().len(), 1);
}

async fn a_failed_fetch_is_retried_until_the_handlers_get_the_output(place: Place) {
    let faults = [Fate::Limited, Fate::Fails, Fate::Hangs];
    let gated = Gated::start(&place, faults).await;
    let log = Log::default();
    let begun = SystemTime::now();
    let _worker = spawn(hasty(gated.inbox(), noting(gated.registry(), &log)));
    let job_id = gated.submit().await;
    until_handled(gated.inbox(), 1).await;
    assert_eq!(log.lines(), ["turns 4 true", "any 4 api meeting-42"]);
    assert_eq!(gated.gate.paths().len(), 4);
    assert_eq!(entry(gated.inbox(), &job_id).await.attempts, 3);
    // The pause that the API asks for replaces the backoff, which is zero.
    assert!(begun.elapsed().unwrap() >= Duration::from_secs(2));
}

async fn a_retry_of_one_handler_fetches_again_and_runs_that_handler_alone(place: Place) {
    let gated = Gated::start(&place, []).await;
    let log = Log::default();
    let (first, second) = (log.clone(), log.clone());
    let registry = gated.registry();
    let registry = registry
        .on_diarization("sound", move |event: TypedEvent<Diarization>| {
            first.add(format!("sound {}", event.webhook_event().attempt()));
            async { Ok(()) }
        })
        .unwrap()
        .on_diarization("fails once", move |event: TypedEvent<Diarization>| {
            second.add(format!("fails once {}", event.webhook_event().attempt()));
            async move {
                match event.webhook_event().attempt() {
                    1 => Err("not yet".into()),
                    _ => Ok(()),
                }
            }
        })
        .unwrap();
    let _worker = spawn(hasty(gated.inbox(), registry));
    gated.submit().await;
    until_handled(gated.inbox(), 1).await;
    assert_eq!(log.lines(), ["sound 1", "fails once 1", "fails once 2"]);
    assert_eq!(gated.gate.paths().len(), 2);
}

async fn an_output_that_does_not_exist_is_a_permanent_failure(place: Place) {
    let gated = Gated::start(&place, []).await;
    let log = Log::default();
    let registry = noting(gated.registry(), &log);
    let _worker = spawn(hasty(gated.inbox(), registry));
    let delivery = Delivery::at(SystemTime::now());
    let event = EventBuilder::status_only().with_job_id("unknown");
    let event = event.build_event(delivery).unwrap();
    gated.inbox().commit(&event).await.unwrap();
    until("dead", async || {
        gated.inbox().stats().await.unwrap().dead == 1
    })
    .await;
    let dead = entry(gated.inbox(), "unknown").await;
    let error = dead.last_error.unwrap();
    assert!(
        error.starts_with("fetch_output: the output of the job could not be fetched: not found"),
        "{error}"
    );
    assert!(log.lines().is_empty());
    assert_eq!(gated.gate.paths(), ["/v1/jobs/unknown"]);

    // A replay tries again.
    let replayed = gated.inbox().replay(&dead.id, Replay::Unfinished).await;
    assert!(replayed.unwrap());
    until("tried again", async || gated.gate.paths().len() == 2).await;
}

async fn an_event_of_more_than_a_day_ago_is_a_permanent_failure_without_a_request(place: Place) {
    let gated = Gated::start(&place, []).await;
    let log = Log::default();
    let registry = noting(gated.registry(), &log);
    let yesterday = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    let event = EventBuilder::status_only().with_job_id("old");
    let event = event.build_event(Delivery::at(yesterday)).unwrap();
    gated.inbox().commit(&event).await.unwrap();
    let _worker = spawn(hasty(gated.inbox(), registry));
    until_state(gated.inbox(), "old", "dead").await;
    assert_eq!(
        entry(gated.inbox(), "old").await.last_error.unwrap(),
        "fetch_output: the output of the job was deleted: pyannoteAI keeps it for 24 h after the end of the job"
    );
    assert!(log.lines().is_empty() && gated.gate.paths().is_empty());
}

async fn an_archived_body_says_that_it_was_fetched(place: Place) {
    let gated = Gated::start(&place, []).await;
    let store = Arc::new(InMemory::new());
    let archive = Archive::new(store.clone(), "events").unwrap();
    let registry = gated.registry().register("archive", archive).unwrap();
    let _worker = spawn(hasty(gated.inbox(), registry));
    let job_id = gated.submit().await;
    until_handled(gated.inbox(), 1).await;
    let mut objects = Vec::new();
    let mut listed = object_store::ObjectStore::list(&*store, Some(&Path::from("events")));
    while let Some(object) = futures_util::StreamExt::next(&mut listed).await {
        objects.push(object.unwrap().location);
    }
    objects.retain(|object| object.as_ref().ends_with("_succeeded.json"));
    let [object] = &objects[..] else {
        panic!("{objects:?}")
    };
    assert!(object.as_ref().contains("_diarization_"), "{object}");
    let body = store.get(object).await.unwrap().bytes().await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["jobId"], job_id.as_str());
    assert_eq!(body["fetched"], true);
    assert!(body["output"]["diarization"].is_array());
}

/// The outcome of a read of a job.
#[derive(Clone, Copy)]
enum Fate {
    /// 429 with `Retry-After: 2`.
    Limited,
    /// 500.
    Fails,
    /// No answer.
    Hangs,
}

/// A proxy of the simulator that counts requests and spoils the first ones.
#[derive(Clone)]
struct Gate {
    url: String,
    upstream: String,
    fates: Arc<Mutex<VecDeque<Fate>>>,
    paths: Arc<Mutex<Vec<String>>>,
}

impl Gate {
    async fn start(upstream: String, fates: impl IntoIterator<Item = Fate>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gate = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            upstream,
            fates: Arc::new(Mutex::new(fates.into_iter().collect())),
            paths: Arc::default(),
        };
        let app = Router::new().fallback(pass).with_state(gate.clone());
        tokio::spawn(async { axum::serve(listener, app).await });
        gate
    }

    fn paths(&self) -> Vec<String> {
        self.paths.lock().unwrap().clone()
    }
}

async fn pass(State(gate): State<Gate>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    gate.paths.lock().unwrap().push(path.clone());
    let fate = gate.fates.lock().unwrap().pop_front();
    let answer = Response::builder();
    match fate {
        Some(Fate::Limited) => {
            let answer = answer.status(429).header("retry-after", 2);
            return answer.body(Body::empty()).unwrap();
        }
        Some(Fate::Fails) => return answer.status(500).body(Body::empty()).unwrap(),
        Some(Fate::Hangs) => std::future::pending().await,
        None => {}
    }
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(head.method, format!("{}{path}", gate.upstream));
    let answered = request
        .headers(head.headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answered.status();
    let body = answered.bytes().await.unwrap();
    answer.status(status).body(Body::from(body)).unwrap()
}
