//! The reference and metadata of a request, on the event of its job.

use std::sync::OnceLock;

use pyannoteai_client::{
    ClientErrorKind, IdentifyRequest, JobRequest, MediaKey, Upload, VoiceprintRequest,
};
use serde_json::json;
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Source};
use tower_pyannote_inbox::{Commit, Inbox, InboxFilter, Replay};
use tower_pyannote_test_support::observe::observe;
use tracing::Level;

use pyannote_simulator::{Fault, Faults, Odds};

use crate::place::{
    Log, Place, entry, event, hasty, on_each_store, spawn, until, until_handled, until_state,
};

use super::world::{World, builder, diarize};

on_each_store! {
    a_webhook_before_the_answer_waits_for_the_reference,
    a_webhook_after_the_answer_has_the_reference_of_every_kind_of_request,
    a_webhook_in_another_process_before_the_answer_waits_for_the_reference,
    a_fetched_event_has_the_reference,
    a_retry_a_replay_a_restart_and_a_repeated_delivery_keep_the_reference,
    only_events_of_unknown_jobs_wait_for_an_answer_and_no_longer_than_it,
    a_clock_that_was_set_back_a_little_ends_no_wait_and_by_an_hour_begins_none,
    many_submissions_at_once_keep_their_references_apart,
    a_process_that_was_killed_before_the_answer_leaves_an_unanswered_submission,
    a_lost_answer_leaves_an_unanswered_submission_and_delays_no_event,
    a_refused_submission_leaves_nothing,
}

const AUDIO: &str = "https://example.com/a.wav";
const ADDRESS: &str = "TEST_OWN_DATA_ADDRESS";
const API: &str = "TEST_OWN_DATA_API";
const WEBHOOK: &str = "TEST_OWN_DATA_WEBHOOK";

fn with(fault: Fault, odds: Odds) -> Faults {
    Faults::default().with(fault, odds)
}

/// Writes down the attempt and the reference, or `-` for none.
fn referring(log: &Log) -> HandlerRegistry {
    let log = log.clone();
    HandlerRegistry::new()
        .on_any("refer", move |event: WebhookEvent| {
            log.add(format!("{} {}", event.attempt(), own_data(&event)));
            async { Ok(()) }
        })
        .unwrap()
}

fn own_data(event: &WebhookEvent) -> String {
    let metadata = event.metadata().map_or("-", |metadata| metadata.as_str());
    format!("{} {metadata}", event.reference().unwrap_or("-"))
}

fn request() -> JobRequest {
    let request = diarize().with_reference("meeting-42").unwrap();
    request
        .with_metadata(&json!({"room": "Blue"}))
        .unwrap()
        .into()
}

const EXPECTED: &str = r#"meeting-42 {"room":"Blue"}"#;

async fn a_webhook_before_the_answer_waits_for_the_reference(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::WebhookFirst, Odds::Percent(100.0)))
    })
    .await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    // The simulator answers once the webhook is acknowledged.
    let job_id = world.submit(request()).await;
    assert_eq!(world.simulator.jobs()[0]["attempts"][0]["status"], 200);
    until_state(&world.inbox, &job_id, "handled").await;
    assert_eq!(log.lines(), [format!("1 {EXPECTED}")]);
}

async fn a_webhook_after_the_answer_has_the_reference_of_every_kind_of_request(place: Place) {
    let world = World::start(&place, |config| config).await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    let upload = Upload::from_bytes("RIFF").unwrap();
    let key = MediaKey::new("a.wav").unwrap();
    let uploaded = world.client.upload(key, upload).await.unwrap();
    let identify = IdentifyRequest::new(&uploaded, [("Ann", "AAAA")]).unwrap();
    let requests: [JobRequest; 4] = [
        request(),
        identify.with_reference("i").unwrap().into(),
        VoiceprintRequest::new(AUDIO)
            .unwrap()
            .with_metadata(&7)
            .unwrap()
            .into(),
        diarize().into(),
    ];
    for (number, request) in (1..).zip(requests) {
        world.submit(request).await;
        until_handled(&world.inbox, number).await;
    }
    assert_eq!(
        log.lines(),
        [&format!("1 {EXPECTED}"), "1 i -", "1 - 7", "1 - -"]
    );

    let filter = InboxFilter::new().with_reference("meeting-42");
    let found = world.inbox.list(&filter).await.unwrap();
    let [found] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(found.reference.as_deref(), Some("meeting-42"));
    assert_eq!(
        found.metadata.as_ref().unwrap().as_str(),
        r#"{"room":"Blue"}"#
    );
    assert_eq!(found.source, Source::Webhook);
    let media = async |id| world.inbox.details(id).await.unwrap().unwrap().media;
    assert_eq!(media(&found.id).await, None);
    let uploaded = world
        .inbox
        .list(&InboxFilter::new().with_reference("i"))
        .await
        .unwrap();
    assert_eq!(
        media(&uploaded[0].id).await.as_deref(),
        Some("media://a.wav")
    );
    assert!(!format!("{found:?}").contains("Blue"), "{found:?}");
    assert!(
        world
            .inbox
            .unanswered_submissions()
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_webhook_in_another_process_before_the_answer_waits_for_the_reference(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::WebhookFirst, Odds::Percent(100.0)))
    })
    .await;
    // The receiver and the worker are on one inbox, the client is on another of the same database.
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    let elsewhere = place.open().await;
    let client = builder(&world.simulator.url(), &elsewhere, &world.clock)
        .with_webhook(world.receiver.url())
        .unwrap();
    let job = client.build().unwrap().submit(request()).await.unwrap();
    until_state(&world.inbox, &job.job_id, "handled").await;
    assert_eq!(log.lines(), [format!("1 {EXPECTED}")]);
}

async fn a_fetched_event_has_the_reference(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job_id = world.submit(request()).await;
    world.rest().await;
    assert_eq!(world.reconciler().pass().await.new, 1);
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    until_state(&world.inbox, &job_id, "handled").await;
    assert_eq!(log.lines(), [format!("1 {EXPECTED}")]);
    assert_eq!(entry(&world.inbox, &job_id).await.source, Source::Api);
}

async fn a_retry_a_replay_a_restart_and_a_repeated_delivery_keep_the_reference(place: Place) {
    let world = World::start(&place, |config| config).await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("fails once", move |event: WebhookEvent| {
            let is_first = seen.lines().is_empty();
            seen.add(format!("{} {}", event.attempt(), own_data(&event)));
            async move {
                match is_first {
                    true => Err("not yet".into()),
                    false => Ok(()),
                }
            }
        })
        .unwrap();
    let worker = spawn(hasty(&world.inbox, registry));
    let job_id = world.submit(request()).await;
    until_handled(&world.inbox, 1).await;
    worker.abort();

    // As a process that starts again does.
    let inbox = place.open().await;
    let id = entry(&inbox, &job_id).await.id;
    let stored = inbox.event(&id).await.unwrap().unwrap();
    assert_eq!(own_data(&stored), EXPECTED);
    assert_eq!(inbox.commit(&stored).await.unwrap(), Commit::Duplicate);
    assert!(inbox.replay(&id, Replay::All).await.unwrap());
    let _worker = spawn(hasty(&inbox, referring(&log)));
    until("replayed", async || log.lines().len() == 3).await;
    let expected = [1, 2, 1].map(|attempt| format!("{attempt} {EXPECTED}"));
    assert_eq!(log.lines(), expected);
}

async fn only_events_of_unknown_jobs_wait_for_an_answer_and_no_longer_than_it(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::ApiStalls, Odds::First(1)))
    })
    .await;
    let early = event("early", "succeeded", "");
    world.inbox.commit(&early).await.unwrap();
    // Without a webhook.
    let client = builder(&world.simulator.url(), &world.inbox, &world.clock);
    let client = client.build().unwrap();
    let submission = tokio::spawn(async move { client.submit(request()).await });
    world_has_job(&world).await;
    let client = builder(&world.simulator.url(), &world.inbox, &world.clock);
    let known = client.build().unwrap().diarize(diarize()).await.unwrap();
    for job_id in ["foreign", &known.job_id] {
        let event = event(job_id, "succeeded", "");
        world.inbox.commit(&event).await.unwrap();
    }
    let log = Log::default();
    // One at a time, so that events are handled in the order in which they are due.
    let worker = hasty(&world.inbox, super::world::noting(&log));
    let _worker = spawn(worker.with_concurrency(1).unwrap());
    until("handled", async || log.lines().len() == 2).await;
    let known = format!("{}:succeeded", known.job_id);
    assert_eq!(log.lines(), ["early:succeeded", &known]);

    submission.abort();
    expire(&place).await;
    until("handled", async || log.lines().len() == 3).await;
    assert_eq!(log.lines()[2], "foreign:succeeded");
}

async fn a_clock_that_was_set_back_a_little_ends_no_wait_and_by_an_hour_begins_none(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::ApiStalls, Odds::First(1)))
    })
    .await;
    // Without a webhook.
    let client = builder(&world.simulator.url(), &world.inbox, &world.clock);
    let client = client.build().unwrap();
    let submission = tokio::spawn(async move { client.submit(request()).await });
    world_has_job(&world).await;
    for (seconds, job_id) in [(30, "a little"), (3_600, "an hour")] {
        // As if the clock had been ahead when the submission began.
        let later = format!(
            "UPDATE pyannote_intents SET begun_at = begun_at + {seconds}000000000, expires_at = expires_at + {seconds}000000000"
        );
        place.execute(&later).await;
        let event = event(job_id, "succeeded", "");
        world.inbox.commit(&event).await.unwrap();
    }
    let log = Log::default();
    // One at a time, so that events are handled in the order in which they are due.
    let worker = hasty(&world.inbox, super::world::noting(&log));
    let _worker = spawn(worker.with_concurrency(1).unwrap());
    until_handled(&world.inbox, 1).await;
    assert_eq!(log.lines(), ["an hour:succeeded"]);
    submission.abort();
}

/// Shifts the intents and the events that wait for them, as if the client's timeout and 15 s had passed.
async fn expire(place: &Place) {
    let later = "75000000000";
    for statement in [
        format!(
            "UPDATE pyannote_intents SET begun_at = begun_at - {later}, expires_at = expires_at - {later}"
        ),
        format!(
            "UPDATE pyannote_events SET queued_at = queued_at - {later}, due_at = due_at - {later}"
        ),
    ] {
        place.execute(&statement).await;
    }
}

async fn many_submissions_at_once_keep_their_references_apart(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::WebhookFirst, Odds::Percent(50.0)))
    })
    .await;
    let log = Log::default();
    let _worker = spawn(
        hasty(&world.inbox, referring(&log))
            .with_concurrency(8)
            .unwrap(),
    );
    let submissions = (0..40).map(|number| {
        let client = world.client.clone();
        let request = diarize().with_reference(format!("{number:02}")).unwrap();
        tokio::spawn(async move { client.diarize(request).await.unwrap() })
    });
    let submissions: Vec<_> = submissions.collect();
    let mut jobs = Vec::new();
    for submission in submissions {
        jobs.push(submission.await.unwrap());
    }
    // None of the events waits until an intent expires, which takes longer than this.
    until_handled(&world.inbox, 40).await;
    for job in jobs {
        let entry = entry(&world.inbox, &job.job_id).await;
        assert_eq!(entry.reference.as_deref(), job.reference.as_deref());
    }
    let mut lines = log.lines();
    lines.sort();
    let expected: Vec<_> = (0..40).map(|number| format!("1 {number:02} -")).collect();
    assert_eq!(lines, expected);
}

async fn a_process_that_was_killed_before_the_answer_leaves_an_unanswered_submission(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(with(Fault::ApiStalls, Odds::First(1)))
    })
    .await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "--ignored",
            "reconcile::own_data::submitter_to_be_killed",
        ])
        .env(ADDRESS, place.address())
        .env(API, world.simulator.url())
        .env(WEBHOOK, world.receiver.url())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    world_has_job(&world).await;
    child.kill().unwrap();
    child.wait().unwrap();
    world.rest().await;
    let job_id = world.simulator.jobs()[0]["jobId"]
        .as_str()
        .unwrap()
        .to_owned();
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    // The event waits, because the submission still counts as open.
    assert!(
        world
            .inbox
            .unanswered_submissions()
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(entry(&world.inbox, &job_id).await.state.as_str(), "waiting");

    expire(&place).await;
    until_state(&world.inbox, &job_id, "handled").await;
    assert_eq!(log.lines(), ["1 - -"]);

    let inbox = place.open().await;
    let unanswered = inbox.unanswered_submissions().await.unwrap();
    let [lost] = &unanswered[..] else {
        panic!("{unanswered:?}")
    };
    assert_eq!(lost.reference.as_deref(), Some("meeting-42"));
    assert!(!format!("{lost:?}").contains("Blue"), "{lost:?}");
    let mut reconciler = world.reconciler();
    assert_eq!(reconciler.pass().await.unanswered, 1);
    // It is never assigned by guess.
    assert_eq!(entry(&inbox, &job_id).await.reference, None);

    assert!(
        inbox
            .answer_submission(&lost.id, job_id.as_str())
            .await
            .unwrap()
    );
    assert!(!inbox.answer_submission(&lost.id, "other").await.unwrap());
    assert!(inbox.unanswered_submissions().await.unwrap().is_empty());
    assert_eq!(reconciler.pass().await.unanswered, 0);
    let id = entry(&inbox, &job_id).await.id;
    assert!(inbox.replay(&id, Replay::All).await.unwrap());
    until("replayed", async || log.lines().len() == 2).await;
    assert_eq!(log.lines()[1], format!("1 {EXPECTED}"));
}

async fn world_has_job(world: &World) {
    until("the request arrives", async || {
        world.simulator.jobs().as_array().unwrap().len() == 1
    })
    .await;
}

#[tokio::test]
#[ignore = "is run by another test, as a process to be killed"]
async fn submitter_to_be_killed() {
    let [address, api, webhook] = [ADDRESS, API, WEBHOOK].map(|name| std::env::var(name).unwrap());
    let inbox = Inbox::open(&address).await.unwrap();
    let client = builder(&api, &inbox, &super::world::Shifted::default());
    let client = client.with_webhook(webhook).unwrap().build().unwrap();
    let answer = client.submit(request()).await;
    panic!("it was not killed: {answer:?}");
}

async fn a_lost_answer_leaves_an_unanswered_submission_and_delays_no_event(place: Place) {
    let world = World::start(&place, |config| {
        let faults = with(Fault::ApiDrops, Odds::First(1));
        config.with_faults(faults.with(Fault::WebhookFirst, Odds::Percent(100.0)))
    })
    .await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    let error = world.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Transport);
    assert!(error.may_have_been_submitted());
    // The event waits no longer, although its intent would expire later.
    until_handled(&world.inbox, 1).await;
    assert_eq!(log.lines(), ["1 - -"]);
    let unanswered = world.inbox.unanswered_submissions().await.unwrap();
    assert_eq!(unanswered.len(), 1, "{unanswered:?}");
    assert_eq!(unanswered[0].kind, Some(tower_pyannote::Kind::Diarization));
}

async fn a_refused_submission_leaves_nothing(place: Place) {
    let world = World::start(&place, |config| config.with_api_key("sk_other")).await;
    let error = world.client.submit(request()).await.unwrap_err();
    assert_eq!(error.kind(), ClientErrorKind::Unauthorized);
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, referring(&log)));
    world
        .inbox
        .commit(&event("foreign", "succeeded", ""))
        .await
        .unwrap();
    until_handled(&world.inbox, 1).await;
    assert!(
        world
            .inbox
            .unanswered_submissions()
            .await
            .unwrap()
            .is_empty()
    );
    // Not even an expired intent is left.
    place
        .execute("UPDATE pyannote_intents SET expires_at = 0")
        .await;
    assert!(
        world
            .inbox
            .unanswered_submissions()
            .await
            .unwrap()
            .is_empty()
    );
}

#[test]
fn an_unanswered_submission_is_logged_once_with_its_candidates() {
    let (_, log) = observe(Level::WARN, async || {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, |config| {
            config.with_faults(with(Fault::ApiDrops, Odds::First(1)))
        })
        .await;
        world.client.submit(request()).await.unwrap_err();
        let recorded = world.diarize().await;
        world.rest().await;
        let candidate = world.simulator.jobs()[0]["jobId"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut reconciler = world.reconciler();
        assert_eq!(reconciler.pass().await.unanswered, 1);
        assert_eq!(reconciler.pass().await.unanswered, 1);
        CANDIDATE.set((candidate, recorded)).unwrap();
    });
    let (candidate, recorded) = CANDIDATE.get().unwrap();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("answer_submission"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    assert!(lines[0].contains(r#"reference="meeting-42""#), "{log}");
    assert!(
        lines[0].contains(&format!("candidates=\"{candidate}\"")),
        "{log}"
    );
    assert!(!log.contains(recorded) && !log.contains("Blue"), "{log}");
}

static CANDIDATE: OnceLock<(String, String)> = std::sync::OnceLock::new();
