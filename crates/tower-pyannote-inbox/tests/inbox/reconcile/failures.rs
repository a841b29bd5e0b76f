//! Failures in a pass, and recovery in a later pass.

use std::time::Duration;

use pyannoteai_client::{ClientError, SubmittedJob};
use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;
use tower_pyannote_inbox::{InboxErrorKind, InboxFilter, StoreFault, StoreFaults};

use pyannote_simulator::{Fault, Faults, Odds};

use crate::place::{Place, event, on_each_store, until};

use super::world::{World, builder, diarize, eager};

on_each_store! {
    a_database_error_ends_the_pass_and_the_next_pass_fetches_every_job,
    an_event_whose_commit_lost_its_answer_is_stored_once,
}

async fn a_database_error_ends_the_pass_and_the_next_pass_fetches_every_job(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    for _ in 0..3 {
        world.diarize().await;
    }
    world.rest().await;
    let (inbox, faults) = StoreFaults::under(&world.inbox);
    let mut reconciler = eager(&world.client, &inbox);
    faults.begin(StoreFault::Fails);
    let report = reconciler.pass().await;
    assert_eq!((report.listed, report.missing, report.errors), (0, 0, 1));
    faults.end();
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.new, report.errors), (3, 3, 0));
}

async fn an_event_whose_commit_lost_its_answer_is_stored_once(place: Place) {
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let job_id = world.diarize().await;
    world.rest().await;
    let (inbox, faults) = StoreFaults::under(&world.inbox);
    let mut reconciler = eager(&world.client, &inbox);
    // The fault also fails reads, so it begins after the reads.
    faults.begin(StoreFault::LosesAnswers);
    assert!(!reconciler.pass().await.is_complete());
    let job = world.client.job(&job_id).await.unwrap();
    let event = job.event().unwrap();
    inbox.commit(&event).await.unwrap_err();
    faults.end();
    assert_eq!(reconciler.pass().await.missing, 0);
    let entries = world.inbox.list(&InboxFilter::new()).await.unwrap();
    assert_eq!(entries.len(), 1);
}

#[tokio::test]
async fn a_failed_api_call_is_repeated_in_the_next_pass() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    for _ in 0..3 {
        world.diarize().await;
    }
    world.rest().await;
    // Another one fails in the place of the first: all three jobs are there, but its list is empty.
    let failing = World::start(&Place::sqlite().unwrap(), |config| {
        config.with_faults(Faults::default().with(Fault::Api5xx, Odds::Percent(100.0)))
    })
    .await;
    let client = builder(&failing.simulator.url(), &world.inbox, &world.clock);
    let report = eager(&client.build().unwrap(), &world.inbox).pass().await;
    // The list, and each of those that were recorded.
    assert_eq!((report.missing, report.failed, report.errors), (3, 3, 4));
    let report = world.reconciler().pass().await;
    assert_eq!((report.missing, report.new, report.errors), (3, 3, 0));
}

#[tokio::test]
async fn a_refused_api_key_ends_the_pass_and_loses_no_job() {
    let place = Place::sqlite().unwrap();
    let world = World::start(&place, |config| {
        config
            .with_faults(Faults::default().with(Fault::Lost, Odds::Percent(100.0)))
            .with_api_key("sk_example")
    })
    .await;
    for _ in 0..20 {
        world.diarize().await;
    }
    world.rest().await;
    world.clock.set(2 * 24 * super::world::HOUR);
    let client = pyannoteai_client::Client::builder("sk_wrong")
        .with_base_url(world.simulator.url())
        .unwrap()
        .with_clock(world.clock.clone());
    let mut reconciler = eager(&client.build().unwrap(), &world.inbox);
    let report = reconciler.pass().await;
    assert_eq!((report.missing, report.lost), (20, 0));
    // The four fetches in flight failed.
    assert_eq!(report.failed, 4);
    world.clock.set(0);
    assert_eq!(world.reconciler().pass().await.new, 20);
}

#[tokio::test]
async fn a_hanging_database_delays_a_pass_by_its_timeout_only() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    world.diarize().await;
    world.rest().await;
    let (inbox, faults) = StoreFaults::under(&world.inbox);
    let mut reconciler = eager(&world.client, &inbox);
    faults.begin(StoreFault::Hangs);
    let pass = tokio::time::timeout(Duration::from_secs(60), reconciler.pass());
    let report = pass.await.unwrap();
    assert_eq!((report.missing, report.errors), (0, 1));
    faults.end();
    assert_eq!(reconciler.pass().await.new, 1);
}

/// Submits a job, while the database fails, and waits until that was met.
async fn submit_unrecorded(
    world: &World,
) -> (JoinHandle<Result<SubmittedJob, ClientError>>, StoreFaults) {
    let (inbox, faults) = StoreFaults::under(&world.inbox);
    let client = builder(&world.simulator.url(), &inbox, &world.clock)
        .with_webhook(world.receiver.url())
        .unwrap()
        .build()
        .unwrap();
    faults.begin(StoreFault::Fails);
    let submitted = tokio::spawn(async move { client.diarize(diarize()).await });
    until("the first try", async || faults.met() > 0).await;
    (submitted, faults)
}

#[tokio::test]
async fn a_submission_is_recorded_after_a_brief_database_failure() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let (submitted, faults) = submit_unrecorded(&world).await;
    faults.end();
    let job = submitted.await.unwrap().unwrap();
    assert!(job.log_error().is_none(), "{job:?}");
    world.rest().await;
    let report = world.reconciler().without_listing().pass().await;
    assert_eq!((report.awaited, report.new), (1, 1));
}

#[tokio::test]
async fn a_submission_is_recorded_after_its_caller_is_dropped() {
    let place = Place::sqlite().unwrap();
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    let (submitted, faults) = submit_unrecorded(&world).await;
    submitted.abort();
    assert!(submitted.await.unwrap_err().is_cancelled());
    faults.end();
    until("the record", async || {
        let report = world.reconciler().without_listing().pass().await;
        report.awaited == 1
    })
    .await;
}

#[tokio::test]
async fn a_fetched_event_has_more_time_to_be_committed_than_a_delivery() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let world = World::losing(&place, Odds::Percent(100.0)).await;
    world.diarize().await;
    world.rest().await;
    let mut other = PgConnection::connect(place.address()).await.unwrap();
    let lock = "BEGIN; LOCK TABLE tower_pyannote.pyannote_events IN EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let mut reconciler = world.reconciler();
    let pass = tokio::spawn(async move { reconciler.pass().await });
    for _ in 0..2 {
        let delivered = world.inbox.commit(&event("another", "failed", "")).await;
        assert_eq!(delivered.unwrap_err().kind(), InboxErrorKind::Timeout);
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let report = pass.await.unwrap();
    assert_eq!((report.new, report.errors), (1, 0));
}
