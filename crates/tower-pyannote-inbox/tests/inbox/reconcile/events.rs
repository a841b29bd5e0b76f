//! A fetched event equals the event that the webhook would have delivered.

use pyannoteai_client::{IdentifyRequest, JobRequest, VoiceprintRequest};
use serde_json::Value;
use tower_pyannote::{Kind, WebhookEvent, event::Source, testing::EventBuilder};
use tower_pyannote_inbox::{Commit, Inbox};

use pyannote_simulator::{Fault, Faults, Odds};

use crate::place::{Place, entry, event, on_each_store};

use super::world::{World, builder, diarize, eager};

on_each_store! {
    a_fetched_event_is_the_one_that_the_webhook_brings,
    the_kind_of_a_failed_job_is_known_from_its_submission,
    a_late_webhook_in_other_bytes_is_a_duplicate_and_no_conflict,
    a_fetch_does_not_replace_a_delivered_event,
}

const AUDIO: &str = "https://example.com/a.wav";

fn requests() -> Vec<JobRequest> {
    let identify = || IdentifyRequest::new(AUDIO, [("Ann", "AAAA"), ("Bo", "BBBB")]).unwrap();
    vec![
        diarize().into(),
        diarize()
            .with_exclusive(true)
            .with_turn_level_confidence(true)
            .with_confidence(true)
            .with_speech_probability(true)
            .with_crosstalk_probability(true)
            .with_speaker_probability(true)
            .with_transcription(true)
            .unwrap()
            .into(),
        diarize().with_webhook_status_only(true).into(),
        identify().into(),
        identify().with_confidence(true).into(),
        VoiceprintRequest::new(AUDIO).unwrap().into(),
    ]
}

async fn a_fetched_event_is_the_one_that_the_webhook_brings(place: Place) {
    let faults = [None, Some(Fault::JobFails), Some(Fault::JobCanceled)];
    for (seed, fault) in (0..).zip(faults) {
        let elsewhere = Place::sqlite().unwrap();
        let receiving = World::start(&elsewhere, |config| {
            // The jobs differ in each round.
            let config = config.with_seed(seed);
            match fault {
                Some(fault) => {
                    config.with_faults(Faults::default().with(fault, Odds::Percent(100.0)))
                }
                None => config,
            }
        })
        .await;
        // It knows of the submissions alone.
        let inbox = place.open().await;
        let client = builder(&receiving.simulator.url(), &inbox, &receiving.clock)
            .with_webhook(receiving.receiver.url())
            .unwrap()
            .build()
            .unwrap();
        let mut job_ids = Vec::new();
        for request in requests() {
            job_ids.push(client.submit(request).await.unwrap().job_id);
        }
        receiving.rest().await;
        let report = eager(&client, &inbox).pass().await;
        assert_eq!(report.new, 6, "{report:?}");

        for job_id in &job_ids {
            let brought = only_event(&receiving.inbox, job_id).await;
            let fetched = only_event(&inbox, job_id).await;
            assert_eq!(fetched.status(), brought.status());
            assert_eq!(fetched.kind(), brought.kind());
            assert_eq!(fetched.output(), brought.output());
            assert_eq!(fetched.error(), brought.error());
            assert_eq!(fetched.warning(), brought.warning());
            assert_eq!((fetched.created_at(), fetched.updated_at()), (None, None));
            let json = |event: &WebhookEvent| event.parse::<Value>().unwrap();
            assert_eq!(json(&fetched), json(&brought));
        }
    }
}

async fn the_kind_of_a_failed_job_is_known_from_its_submission(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(
            Faults::default()
                .with(Fault::Lost, Odds::First(2))
                .with(Fault::JobFails, Odds::Percent(100.0)),
        )
    })
    .await;
    let kinds = [
        (diarize().into(), Kind::Diarization),
        (
            IdentifyRequest::new(AUDIO, [("Ann", "AAAA")])
                .unwrap()
                .into(),
            Kind::Identification,
        ),
        (
            JobRequest::from(VoiceprintRequest::new(AUDIO).unwrap()),
            Kind::Voiceprint,
        ),
    ];
    let mut jobs = Vec::new();
    for (request, kind) in kinds {
        jobs.push((world.submit(request).await, kind));
    }
    world.rest().await;
    assert_eq!(world.reconciler().pass().await.new, 2);
    let sources = [Source::Api, Source::Api, Source::Webhook];
    for ((job_id, kind), source) in jobs.iter().zip(sources) {
        let event = only_event(&world.inbox, job_id).await;
        assert_eq!((event.kind(), event.job_kind()), (None, Some(*kind)));
        assert_eq!(event.source(), source);
        assert_eq!(entry(&world.inbox, job_id).await.kind, Some(*kind));
    }

    // Handlers get the same event.
    let (seen, mut met) = tokio::sync::mpsc::unbounded_channel();
    let registry = tower_pyannote::HandlerRegistry::new()
        .on_failed("see", move |event: WebhookEvent| {
            seen.send((event.job_id().to_owned(), event.job_kind()))
                .unwrap();
            async { Ok(()) }
        })
        .unwrap();
    let _worker = crate::place::spawn(world.inbox.worker(registry));
    let mut found = Vec::new();
    for _ in &jobs {
        let (job_id, kind) = met.recv().await.unwrap();
        found.push((job_id, kind.unwrap()));
    }
    found.sort();
    jobs.sort();
    assert_eq!(found, jobs);
}

async fn a_late_webhook_in_other_bytes_is_a_duplicate_and_no_conflict(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job_id = world.diarize().await;
    world.rest().await;
    assert_eq!(world.reconciler().pass().await.new, 1);
    let fetched = only_event(&world.inbox, &job_id).await;
    let late = event(&job_id, "succeeded", r#", "output": {"diarization": []}"#);
    assert_eq!(world.inbox.commit(&late).await.unwrap(), Commit::Duplicate);
    assert_eq!(entry(&world.inbox, &job_id).await.conflicts, 0);
    assert_eq!(only_event(&world.inbox, &job_id).await.raw(), fetched.raw());
}

async fn a_fetch_does_not_replace_a_delivered_event(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job_id = world.diarize().await;
    world.rest().await;
    let came = event(&job_id, "succeeded", r#", "output": {"diarization": []}"#);
    world.inbox.commit(&came).await.unwrap();
    assert_eq!(world.reconciler().pass().await.missing, 0);
    assert_eq!(only_event(&world.inbox, &job_id).await.raw(), came.raw());
}

#[tokio::test]
async fn a_failed_job_that_was_submitted_elsewhere_has_no_kind() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let delivery = tower_pyannote::event::Delivery::at(std::time::SystemTime::now());
    let event = EventBuilder::failed().build_event(delivery).unwrap();
    inbox.commit(&event).await.unwrap();
    assert_eq!(only_event(&inbox, event.job_id()).await.job_kind(), None);
}

async fn only_event(inbox: &Inbox, job_id: &str) -> WebhookEvent {
    let id = entry(inbox, job_id).await.id;
    inbox.event(&id).await.unwrap().unwrap()
}
