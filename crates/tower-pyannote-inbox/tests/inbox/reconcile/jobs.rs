//! Which jobs are fetched, when, and how often.

use std::time::Duration;

use tokio::sync::oneshot;
use tower_pyannote_inbox::ConfigError;
use tower_pyannote_inbox::{InboxFilter, Reconciler};

use pyannote_simulator::{Fault, Faults, Odds};

use crate::place::{Log, Place, entry, event, hasty, on_each_store, spawn, until, until_handled};

use super::world::{HOUR, World, diarize, eager, noting};

on_each_store! {
    a_job_whose_webhook_is_lost_reaches_the_handlers_once,
    webhooks_that_come_at_the_same_time_are_not_handled_twice,
    an_unrecorded_job_is_found_in_the_list,
    a_recorded_job_is_fetched_without_the_list,
}

async fn a_job_whose_webhook_is_lost_reaches_the_handlers_once(place: Place) {
    let world = World::losing(&place, Odds::First(2)).await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, noting(&log)));
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(format!("{}:succeeded", world.diarize().await));
    }
    world.rest().await;
    until_handled(&world.inbox, 3).await;

    let mut reconciler = world.reconciler();
    let report = reconciler.pass().await;
    assert_eq!((report.listed, report.awaited, report.missing), (5, 2, 2));
    assert_eq!((report.new, report.duplicates, report.pending), (2, 0, 0));
    assert_eq!((report.lost, report.failed, report.errors), (0, 0, 0));
    assert!(report.is_complete());
    until_handled(&world.inbox, 5).await;

    for mut reconciler in [reconciler, world.reconciler()] {
        let report = reconciler.pass().await;
        assert_eq!((report.awaited, report.missing), (0, 0));
    }
    let mut lines = log.lines();
    lines.sort();
    expected.sort();
    assert_eq!(lines, expected);
}

async fn webhooks_that_come_at_the_same_time_are_not_handled_twice(place: Place) {
    let world = World::start(&place, |config| {
        config.with_faults(
            Faults::default()
                .with(Fault::Doubled, Odds::Percent(50.0))
                .with(Fault::LostFirst, Odds::Percent(50.0)),
        )
    })
    .await;
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, noting(&log)));
    let mut reconciler = world.reconciler();
    for _ in 0..8 {
        for _ in 0..5 {
            world.diarize().await;
        }
        assert!(reconciler.pass().await.is_complete());
    }
    world.rest().await;
    reconciler.pass().await;
    until_handled(&world.inbox, 40).await;
    let mut lines = log.lines();
    lines.sort();
    lines.dedup();
    assert_eq!((log.lines().len(), lines.len()), (40, 40));
    let entries = world.inbox.list(&InboxFilter::new()).await.unwrap();
    assert_eq!(entries.iter().map(|entry| entry.conflicts).sum::<u64>(), 0);
}

async fn an_unrecorded_job_is_found_in_the_list(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    // As another process does, that knows nothing of the inbox.
    let elsewhere = Place::sqlite().unwrap();
    let other = elsewhere.open().await;
    let client = super::world::builder(&world.simulator.url(), &other, &world.clock)
        .with_webhook(world.receiver.url())
        .unwrap()
        .build()
        .unwrap();
    for _ in 0..120 {
        client.diarize(diarize()).await.unwrap();
    }
    world.rest().await;
    let mut blind = world.reconciler().without_listing();
    assert_eq!(blind.pass().await.missing, 0);
    let report = world.reconciler().pass().await;
    assert_eq!((report.listed, report.awaited, report.new), (120, 0, 120));
}

async fn a_recorded_job_is_fetched_without_the_list(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job_id = world.diarize().await;
    world.rest().await;
    let mut reconciler = world.reconciler().without_listing();
    let report = reconciler.pass().await;
    assert_eq!((report.listed, report.awaited, report.new), (0, 1, 1));
    let entry = entry(&world.inbox, &job_id).await;
    assert_eq!(entry.kind.map(|kind| kind.as_str()), Some("diarization"));
}

#[tokio::test]
async fn a_running_job_is_fetched_in_a_later_pass() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config
            .with_time_scale(4.0)
            .with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)))
    })
    .await;
    let job_id = world.diarize().await;
    let mut listing = world.reconciler();
    let report = listing.pass().await;
    assert_eq!((report.missing, report.pending), (0, 1));
    // Without the list only the job itself can tell.
    let mut blind = world.reconciler().without_listing();
    let report = blind.pass().await;
    assert_eq!((report.missing, report.pending), (1, 1));

    until("the end of the job", async || {
        world.simulator.jobs()[0]["status"] == "succeeded"
    })
    .await;
    let report = listing.pass().await;
    assert_eq!((report.missing, report.new, report.pending), (1, 1, 0));
    assert_eq!(entry(&world.inbox, &job_id).await.status, "succeeded");
}

#[tokio::test]
async fn a_job_is_not_fetched_during_the_grace_period() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    world.diarize().await;
    world.rest().await;
    let mut reconciler = Reconciler::new(world.client.clone(), world.inbox.clone());
    for (minutes, missing) in [(0, 0), (9, 0), (10, 1)] {
        world.clock.set(minutes);
        let report = reconciler.pass().await;
        assert_eq!(report.missing, missing, "after {minutes} minutes");
        assert_eq!((report.pending, report.new), (1 - missing, missing));
    }
}

#[tokio::test]
async fn a_job_with_a_deleted_output_is_lost_once_and_its_late_webhook_is_handled() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config
            .with_time_scale(100_000.0)
            .with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)))
    })
    .await;
    let job_id = world.diarize().await;
    world.rest().await;
    let output_of = async |job_id: &str| {
        let job = world.client.job(job_id).await.unwrap();
        job.output().is_some()
    };
    until("the deletion", async || !output_of(&job_id).await).await;

    // The webhook may still arrive.
    let report = world.reconciler().pass().await;
    assert_eq!((report.missing, report.pending, report.lost), (1, 1, 0));

    world.clock.set(25 * HOUR);
    let mut reconciler = world.reconciler();
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.new, report.lost), (1, 0, 1));
    for mut reconciler in [reconciler, world.reconciler()] {
        let report = reconciler.pass().await;
        assert_eq!((report.awaited, report.missing, report.lost), (0, 0, 0));
    }
    assert!(
        world
            .inbox
            .list(&InboxFilter::new())
            .await
            .unwrap()
            .is_empty()
    );

    let late = event(&job_id, "succeeded", r#","output":{"diarization":[]}"#);
    world.inbox.commit(&late).await.unwrap();
    assert_eq!(entry(&world.inbox, &job_id).await.status, "succeeded");
}

#[tokio::test]
async fn a_job_whose_output_was_gone_before_the_inbox_was_new_is_settled_and_not_lost() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config
            .with_time_scale(100_000.0)
            .with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)))
    })
    .await;
    let job_id = world.diarize().await;
    world.rest().await;
    until("the deletion", async || {
        let job = world.client.job(&job_id).await.unwrap();
        job.output().is_none()
    })
    .await;
    let expired = async |reconciler: &mut Reconciler, hours| {
        world.clock.set(hours * HOUR);
        let report = reconciler.pass().await;
        (report.missing, report.expired, report.lost, report.pending)
    };
    let another = Place::sqlite().unwrap();
    let inbox = another.open().await;
    let mut reconciler = eager(&world.client, &inbox);
    assert_eq!(expired(&mut reconciler, 25).await, (1, 1, 0, 0));
    assert_eq!(expired(&mut reconciler, 25).await, (0, 0, 0, 0));

    // One that it knew of when the output could still be there is lost.
    let another = Place::sqlite().unwrap();
    let inbox = another.open().await;
    let mut reconciler = eager(&world.client, &inbox);
    assert_eq!(expired(&mut reconciler, 23).await, (1, 0, 0, 1));
    assert_eq!(expired(&mut reconciler, 25).await, (1, 0, 1, 0));
}

#[tokio::test]
async fn a_failed_job_is_fetched_after_its_output_would_be_deleted() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config.with_faults(
            Faults::default()
                .with(Fault::Lost, Odds::Percent(100.0))
                .with(Fault::JobFails, Odds::Percent(100.0)),
        )
    })
    .await;
    let job_id = world.diarize().await;
    world.rest().await;
    world.clock.set(26 * HOUR);
    assert_eq!(world.reconciler().pass().await.new, 1);
    assert_eq!(entry(&world.inbox, &job_id).await.status, "failed");
}

#[tokio::test]
async fn a_job_that_the_api_does_not_know_is_lost_after_the_30_hours_that_it_may_be_there() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let elsewhere = World::start(&Place::sqlite().unwrap(), |config| config).await;
    world.diarize().await;
    // With the key of another team.
    let mut reconciler = eager(&elsewhere.client, &world.inbox);
    for (hours, failed, lost) in [(0, 1, 0), (25, 1, 0), (29, 1, 0), (30, 0, 1), (31, 0, 0)] {
        elsewhere.clock.set(hours * HOUR);
        let report = reconciler.pass().await;
        assert_eq!(
            (report.failed, report.lost),
            (failed, lost),
            "after {hours} hours"
        );
    }
}

#[tokio::test]
async fn many_jobs_that_cannot_be_fetched_do_not_delay_other_jobs() {
    let place = Place::sqlite().unwrap();
    let lost = |config: pyannote_simulator::Config| {
        config.with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)))
    };
    let elsewhere = World::start(&place, lost).await;
    for _ in 0..20 {
        elsewhere.diarize().await;
    }
    let world = World::start(&place, |config| lost(config).with_seed(1)).await;
    let job_id = world.diarize().await;
    world.rest().await;
    let mut reconciler = world.reconciler();
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.failed, report.new), (21, 20, 1));
    assert_eq!(entry(&world.inbox, &job_id).await.status, "succeeded");
    let report = reconciler.pass().await;
    assert_eq!(
        (report.awaited, report.missing, report.failed),
        (20, 20, 20)
    );
}

#[tokio::test]
async fn failures_do_not_end_the_reconciler() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config.with_faults(
            Faults::default()
                .with(Fault::Lost, Odds::Percent(100.0))
                .with(Fault::Api5xx, Odds::Percent(30.0)),
        )
    })
    .await;
    let mut expected = 0;
    for _ in 0..12 {
        expected += u64::from(world.client.diarize(diarize()).await.is_ok());
    }
    let log = Log::default();
    let _worker = spawn(hasty(&world.inbox, noting(&log)));
    let (stop, stopped) = oneshot::channel::<()>();
    let reconciler = world
        .reconciler()
        .with_interval(Duration::from_millis(20))
        .unwrap();
    let running = tokio::spawn(reconciler.run_until(async {
        let _ = stopped.await;
    }));
    until_handled(&world.inbox, expected).await;
    drop(stop);
    running.await.unwrap();
    assert_eq!(u64::try_from(log.lines().len()).unwrap(), expected);
}

#[tokio::test]
async fn an_invalid_setting_is_named_in_its_error() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| config).await;
    let setting = |made: Result<Reconciler, ConfigError>| match made {
        Err(ConfigError::Reconciler { setting, .. }) => Some(setting),
        _ => None,
    };
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    for (interval, expected) in [
        (Duration::ZERO, Some("interval")),
        (Duration::from_nanos(1), None),
        (minutes(30), None),
        (minutes(31), Some("interval")),
        (Duration::MAX, Some("interval")),
    ] {
        let made = world.reconciler().with_interval(interval);
        assert_eq!(setting(made), expected, "{interval:?}");
    }
    for (grace, expected) in [
        (Duration::ZERO, None),
        (minutes(12 * 60), None),
        (minutes(12 * 60 + 1), Some("grace")),
    ] {
        let made = world.reconciler().with_grace(grace);
        assert_eq!(setting(made), expected, "{grace:?}");
    }
    let error = world
        .reconciler()
        .with_interval(Duration::ZERO)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the reconciler's interval has to be above zero and at most 30 minutes"
    );
}
