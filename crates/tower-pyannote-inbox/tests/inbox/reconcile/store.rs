//! How long submissions are stored.

use std::time::Duration;

use tower_pyannote_inbox::InboxFilter;

use pyannote_simulator::Odds;

use crate::place::{Log, Place, entry, event, hasty, on_each_store, spawn, until_handled};

use super::world::{HOUR, World, noting};

on_each_store! {
    an_event_that_was_pruned_is_not_fetched_again,
    a_submission_expires_after_a_week_unless_its_event_is_stored,
    two_processes_on_one_store_fetch_each_event_once,
}

async fn an_event_that_was_pruned_is_not_fetched_again(place: Place) {
    let world = World::losing(&place, Odds::First(1)).await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, noting(&log)));
    world.diarize().await;
    world.diarize().await;
    // Not recorded here, but listed.
    let client = pyannoteai_client::Client::builder("sk_example")
        .with_base_url(world.simulator.url())
        .unwrap()
        .with_webhook(world.receiver.url())
        .unwrap();
    let request = super::world::diarize();
    client.build().unwrap().diarize(request).await.unwrap();
    world.rest().await;
    assert_eq!(world.reconciler().pass().await.new, 1);
    until_handled(&world.inbox, 3).await;

    assert_eq!(world.inbox.prune(Duration::ZERO).await.unwrap(), 3);
    assert!(
        world
            .inbox
            .list(&InboxFilter::new())
            .await
            .unwrap()
            .is_empty()
    );
    let report = world.reconciler().pass().await;
    assert_eq!((report.listed, report.awaited, report.missing), (3, 0, 0));
    assert_eq!(log.lines().len(), 3);
}

async fn a_submission_expires_after_a_week_unless_its_event_is_stored(place: Place) {
    let world = World::losing(&place, Odds::First(2)).await;
    let awaited = async || {
        let pass = world
            .reconciler()
            .with_grace(Duration::from_secs(12 * 60 * 60));
        // At the time of the submission, so that nothing is fetched.
        pass.unwrap().without_listing().pass().await.awaited
    };
    world.clock.set(-8 * 24 * HOUR);
    let older = world.diarize().await;
    world.clock.set(-6 * 24 * HOUR);
    let newer = world.diarize().await;
    world.clock.set(-8 * 24 * HOUR);
    let received = world.diarize().await;
    world.rest().await;
    // The first is out of the reconciler's reach, but recorded.
    assert_eq!(awaited().await, 1);
    world.inbox.prune(Duration::ZERO).await.unwrap();
    assert_eq!(awaited().await, 1);
    for (job_id, kind) in [
        (&older, None),
        (&newer, Some(tower_pyannote::Kind::Diarization)),
    ] {
        world
            .inbox
            .commit(&event(job_id, "failed", ""))
            .await
            .unwrap();
        assert_eq!(entry(&world.inbox, job_id).await.kind, kind);
    }

    // The third was submitted at the time of the first, but its event is stored.
    let id = entry(&world.inbox, &received).await.id;
    let received = world.inbox.event(&id).await.unwrap().unwrap();
    assert_eq!(
        received.delivery().job_kind,
        Some(tower_pyannote::Kind::Diarization)
    );
}

async fn two_processes_on_one_store_fetch_each_event_once(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    for _ in 0..20 {
        world.diarize().await;
    }
    world.rest().await;
    let other = place.open().await;
    let mut here = world.reconciler();
    let mut there = super::world::eager(&world.client, &other);
    let (here, there) = tokio::join!(here.pass(), there.pass());
    assert!(
        here.is_complete() && there.is_complete(),
        "{here:?} {there:?}"
    );
    assert_eq!(here.new + there.new, 20);
    assert_eq!(world.inbox.stats().await.unwrap().waiting, 20);
}
