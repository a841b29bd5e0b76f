//! The trace that goes from a submission over the delivery to the attempts of the handlers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};
use tower_pyannote::{HandlerRegistry, WebhookEvent, WebhookSecret};
use tower_pyannote_inbox::{Inbox, TraceContext, TracePropagation};
use tracing::Span;

use super::world::{Receiver, SECRET, Shifted, builder, diarize};
use crate::place::{Place, event, hasty, on_each_store, spawn, until_handled, until_state};

on_each_store! {
    a_delivery_is_a_child_of_the_submission_and_the_first_attempt_of_the_delivery,
    a_delivery_before_the_answer_begins_a_trace_and_its_attempt_belongs_to_the_submission,
    a_delivery_without_a_submission_begins_a_trace_that_outlives_the_process,
    the_body_of_a_large_event_comes_with_its_trace,
    a_propagation_that_panics_changes_no_delivery,
}

/// Stands in for a tracing system. The current span has no name: the span of the test, or of a delivery.
#[derive(Clone, Default)]
struct Recorder {
    calls: Arc<Mutex<Vec<String>>>,
    begun: Arc<AtomicU64>,
    /// The trace of the next span, if it has a parent.
    trace: Arc<Mutex<Option<u128>>>,
}

impl Recorder {
    fn note(&self, call: &str, span: &Span, other: TraceContext) {
        let name = span
            .metadata()
            .map_or("current", |metadata| metadata.name());
        let call = format!("{call} {name} {}", other.span_id());
        self.calls.lock().unwrap().push(call);
    }

    /// Returns the parents and the links, in order.
    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

impl TracePropagation for Recorder {
    /// Every span has the next id. A span without a parent has a trace of that id.
    fn context(&self, _: &Span) -> Option<TraceContext> {
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let trace = self.trace.lock().unwrap().take();
        TraceContext::new(trace.unwrap_or(number.into()), number, true)
    }

    fn set_parent(&self, span: &Span, parent: TraceContext) {
        *self.trace.lock().unwrap() = Some(parent.trace_id());
        self.note("parent", span, parent);
    }

    fn add_link(&self, span: &Span, to: TraceContext) {
        self.note("link", span, to);
    }
}

async fn open(place: &Place, recorder: &Recorder) -> Inbox {
    let inbox = Inbox::builder(place.address());
    inbox
        .with_trace_propagation(recorder.clone())
        .open()
        .await
        .unwrap()
}

/// Returns a handler that fails in the first attempt.
fn failing_once() -> HandlerRegistry {
    HandlerRegistry::new()
        .on_any("fail", async |event: WebhookEvent| match event.attempt() {
            1 => Err("not yet".into()),
            _ => Ok(()),
        })
        .unwrap()
}

/// Submits a job to a simulator, with or without a webhook, and returns its id.
async fn submit(inbox: &Inbox, webhook: Option<String>) -> String {
    let config = Config::new(WebhookSecret::new(SECRET).unwrap())
        .with_answer_timeout(Duration::from_secs(20))
        .with_faults(Faults::default().with(Fault::WebhookFirst, Odds::Percent(100.0)));
    let simulator = Simulator::start(config).await.unwrap();
    let mut client = builder(&simulator.url(), inbox, &Shifted::default());
    if let Some(webhook) = webhook {
        client = client.with_webhook(webhook).unwrap();
    }
    let request = diarize().with_reference("meeting-42").unwrap();
    let job = client.build().unwrap().submit(request).await.unwrap();
    job.job_id.to_string()
}

async fn a_delivery_is_a_child_of_the_submission_and_the_first_attempt_of_the_delivery(
    place: Place,
) {
    let recorder = Recorder::default();
    let inbox = open(&place, &recorder).await;
    let _worker = spawn(hasty(&inbox, failing_once()));
    let job_id = submit(&inbox, None).await;
    let delivered = event(&job_id, "succeeded", "");
    inbox.commit(&delivered).await.unwrap();
    until_handled(&inbox, 1).await;
    // 1 is the submission, 2 the delivery, 3 the first attempt, and 4 its handler.
    let expected = [
        "parent current 1",
        "parent pyannote_event 2",
        "link pyannote_event 2",
    ];
    assert_eq!(recorder.calls(), expected);
}

async fn a_delivery_before_the_answer_begins_a_trace_and_its_attempt_belongs_to_the_submission(
    place: Place,
) {
    let recorder = Recorder::default();
    let inbox = open(&place, &recorder).await;
    let _worker = spawn(hasty(&inbox, failing_once()));
    let receiver = Receiver::start(&inbox).await;
    submit(&inbox, Some(receiver.url())).await;
    until_handled(&inbox, 1).await;
    // 1 is the delivery, 2 the submission.
    let expected = [
        "parent pyannote_event 2",
        "link pyannote_event 1",
        "link pyannote_event 2",
        "link pyannote_event 1",
    ];
    assert_eq!(recorder.calls(), expected);
}

async fn a_delivery_without_a_submission_begins_a_trace_that_outlives_the_process(place: Place) {
    let before = Recorder::default();
    let inbox = open(&place, &before).await;
    inbox.commit(&event("job", "succeeded", "")).await.unwrap();
    assert!(before.calls().is_empty());
    drop(inbox);

    let after = Recorder::default();
    // Uses up id 1, so that no other span of this process has it.
    after.begun.store(100, Ordering::SeqCst);
    let inbox = open(&place, &after).await;
    let _worker = spawn(hasty(&inbox, failing_once()));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(
        after.calls(),
        ["parent pyannote_event 1", "link pyannote_event 1"]
    );
    // Another delivery is a span of its own, and changes nothing of the event.
    inbox.commit(&event("job", "succeeded", "")).await.unwrap();
    inbox
        .replay("1", tower_pyannote_inbox::Replay::All)
        .await
        .unwrap();
    until_state(&inbox, "job", "handled").await;
    assert_eq!(after.calls()[2], "parent pyannote_event 1");
}

async fn the_body_of_a_large_event_comes_with_its_trace(place: Place) {
    let recorder = Recorder::default();
    let inbox = open(&place, &recorder).await;
    let rest = format!(r#","output":{{"text":"{}"}}"#, "x".repeat(100_000));
    inbox
        .commit(&event("job", "succeeded", &rest))
        .await
        .unwrap();
    let _worker = spawn(hasty(&inbox, failing_once()));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(
        recorder.calls(),
        ["parent pyannote_event 1", "link pyannote_event 1"]
    );
}

/// Panics in each method, as a user's code may.
struct Panics;

impl TracePropagation for Panics {
    fn context(&self, _: &Span) -> Option<TraceContext> {
        panic!("no context")
    }

    fn set_parent(&self, _: &Span, _: TraceContext) {
        panic!("no parent")
    }

    fn add_link(&self, _: &Span, _: TraceContext) {
        panic!("no link")
    }
}

async fn a_propagation_that_panics_changes_no_delivery(place: Place) {
    let inbox = Inbox::builder(place.address()).with_trace_propagation(Panics);
    let inbox = inbox.open().await.unwrap();
    let _worker = spawn(hasty(&inbox, failing_once()));
    inbox.commit(&event("job", "succeeded", "")).await.unwrap();
    until_state(&inbox, "job", "handled").await;
}
