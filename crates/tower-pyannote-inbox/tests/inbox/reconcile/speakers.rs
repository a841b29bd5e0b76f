//! Voices that are known across meetings, from a voiceprint job to a match.

use std::sync::Arc;

use object_store::memory::InMemory;
use pyannoteai_client::{FetchOutput, IdentifyRequest, VoiceprintRequest};
use tower_pyannote::{HandlerRegistry, Identification, TypedEvent};
use tower_pyannote_archive::Speakers;

use pyannote_simulator::{Fault, Faults, Odds};

use crate::place::{Log, Place, hasty, on_each_store, spawn, until_handled};

use super::world::World;

on_each_store! {
    a_voiceprint_job_with_a_reference_is_matched_in_the_next_meeting,
}

const MEETING: &str = "https://example.com/meeting.wav";

async fn a_voiceprint_job_with_a_reference_is_matched_in_the_next_meeting(place: Place) {
    // The webhook of the first job arrives before the answer, and has only the status.
    let faults = Faults::default().with(Fault::WebhookFirst, Odds::First(1));
    let world = World::start(&place, |config| config.with_faults(faults)).await;
    let speakers = Speakers::new(Arc::new(InMemory::new()), "speakers").unwrap();
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .with_preparation("fetch_output", FetchOutput::new(world.client.clone()))
        .unwrap()
        .register("speakers", speakers.clone())
        .unwrap()
        .on_identification("matches", move |event: TypedEvent<Identification>| {
            let matches = event.output().voiceprints.iter();
            let mut names: Vec<_> = matches
                .filter_map(|voiceprint| voiceprint.matched.as_deref())
                .collect();
            names.sort_unstable();
            seen.add(format!(
                "{}: {}",
                event.reference().unwrap_or("-"),
                names.join(" ")
            ));
            async { Ok(()) }
        })
        .unwrap();
    let _worker = spawn(hasty(&world.inbox, registry));
    for (name, status_only) in [("Ann", true), ("Bob", false)] {
        let request = VoiceprintRequest::new("https://example.com/voice.wav")
            .unwrap()
            .with_webhook_status_only(status_only)
            .with_reference(name)
            .unwrap();
        world.submit(request).await;
    }
    until_handled(&world.inbox, 2).await;
    assert_eq!(speakers.labels().await.unwrap(), ["Ann", "Bob"]);

    let ann = speakers.voiceprints_of(["Ann"]).await.unwrap();
    let bob = speakers.voiceprints_of(["Bob"]).await.unwrap();
    let request = IdentifyRequest::new(MEETING, ann)
        .unwrap()
        .with_speakers(bob)
        .unwrap()
        .with_reference("meeting-42")
        .unwrap();
    world.submit(request).await;
    until_handled(&world.inbox, 3).await;
    assert_eq!(log.lines(), ["meeting-42: Ann Bob"]);
}
