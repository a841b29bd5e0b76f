//! Rows that a worker cannot use.

use std::time::Duration;

use tower_pyannote_inbox::{Inbox, Replay};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, on_each_store, spawn, until_state,
};

on_each_store! {
    a_body_that_is_no_event_is_dead_with_its_reason,
    a_large_body_that_is_no_event_is_dead_with_its_reason,
    a_missing_body_is_dead_with_its_reason,
    a_column_that_cannot_be_decoded_is_dead_with_its_reason,
    a_damaged_event_that_is_replayed_is_dead_again,
}

/// Commits a damaged event and a sound one, and returns the reason why the damaged one is dead.
async fn dies(place: &Place, rest: &str, damage: &str) -> (Inbox, String) {
    let inbox = place.open().await;
    inbox
        .commit(&event("damaged", "succeeded", rest))
        .await
        .unwrap();
    place.execute(damage).await;
    commit(&inbox, "sound").await;
    let log = Log::default();
    // Were the damaged event handed out again and again, the sound one would never have the worker's only place.
    let worker = hasty(&inbox, counting(&log, "count"));
    let worker = worker
        .with_concurrency(1)
        .and_then(|worker| worker.with_max_attempts(1));
    let _worker = spawn(worker.unwrap());
    until_state(&inbox, "damaged", "dead").await;
    until_state(&inbox, "sound", "handled").await;
    assert_eq!(log.lines(), ["sound 1"]);
    let dead = entry(&inbox, "damaged").await;
    assert!(dead.finished_at.is_some());
    let stats = inbox.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.running, stats.dead), (0, 0, 1));
    (inbox, dead.last_error.unwrap())
}

fn is_sqlite(place: &Place) -> bool {
    place.address().starts_with("sqlite:")
}

/// `{}`, with blanks up to a size.
fn not_an_event(place: &Place, bytes: usize) -> String {
    let hex = format!("7b7d{}", "20".repeat(bytes));
    match is_sqlite(place) {
        true => format!("UPDATE pyannote_bodies SET body = X'{hex}'"),
        false => format!("UPDATE pyannote_events SET body = '\\x{hex}'"),
    }
}

async fn a_body_that_is_no_event_is_dead_with_its_reason(place: Place) {
    let (_, why) = dies(&place, "", &not_an_event(&place, 0)).await;
    assert!(
        why.starts_with("the stored body is not an event: "),
        "{why}"
    );
}

async fn a_large_body_that_is_no_event_is_dead_with_its_reason(place: Place) {
    // Read apart from its claim.
    let padding = format!(r#","padding":"{}""#, "x".repeat(100_000));
    let (_, why) = dies(&place, &padding, &not_an_event(&place, 100_000)).await;
    assert!(
        why.starts_with("the stored body is not an event: "),
        "{why}"
    );
}

async fn a_missing_body_is_dead_with_its_reason(place: Place) {
    let damage = match is_sqlite(&place) {
        true => "DELETE FROM pyannote_bodies",
        false => {
            "ALTER TABLE pyannote_events ALTER COLUMN body DROP NOT NULL; UPDATE pyannote_events SET body = NULL"
        }
    };
    let (_, why) = dies(&place, "", damage).await;
    assert!(why.starts_with("the event could not be read: "), "{why}");
}

async fn a_column_that_cannot_be_decoded_is_dead_with_its_reason(place: Place) {
    let damage = match is_sqlite(&place) {
        true => "UPDATE pyannote_events SET signed_at = 'x'",
        false => {
            "ALTER TABLE pyannote_events ALTER COLUMN signed_at DROP NOT NULL; UPDATE pyannote_events SET signed_at = NULL"
        }
    };
    let (_, why) = dies(&place, "", damage).await;
    assert!(why.starts_with("the event could not be read: "), "{why}");
    assert!(why.contains("signed_at"), "{why}");
}

async fn a_damaged_event_that_is_replayed_is_dead_again(place: Place) {
    let (inbox, why) = dies(&place, "", &not_an_event(&place, 0)).await;
    let id = entry(&inbox, "damaged").await.id;
    assert!(inbox.replay(&id, Replay::All).await.unwrap());
    let log = Log::default();
    let worker = hasty(&inbox, counting(&log, "count")).with_drain_timeout(Duration::ZERO);
    let _worker = spawn(worker);
    until_state(&inbox, "damaged", "dead").await;
    assert_eq!(entry(&inbox, "damaged").await.last_error, Some(why));
    assert_eq!(log.lines(), [""; 0]);
}
