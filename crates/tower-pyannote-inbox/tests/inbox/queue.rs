//! The order and the time in which events are handed to workers.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tower_pyannote::{HandlerRegistry, WebhookEvent};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, on_each_store, spawn, until, until_handled,
    until_state, waiting,
};

on_each_store! {
    an_event_waits_no_longer_than_its_delay_after_a_clock_was_set_back,
    a_dead_worker_loses_its_events_although_a_clock_was_set_back,
    events_of_one_job_are_handled_in_their_order,
    a_worker_claims_as_many_events_as_it_has_places,
}

/// As if the events and leases had been written an hour later.
pub(crate) async fn set_back(place: &Place) {
    let hour = "3600000000000";
    let events = format!(
        "UPDATE pyannote_events SET queued_at = queued_at + {hour}, due_at = due_at + {hour}"
    );
    place.execute(&events).await;
    let leases = format!(
        "UPDATE pyannote_leases SET renewed_at = renewed_at + {hour}, expires_at = expires_at + {hour}"
    );
    place.execute(&leases).await;
}

async fn an_event_waits_no_longer_than_its_delay_after_a_clock_was_set_back(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("fails once", move |event: WebhookEvent| {
            seen.add(format!("{} {}", event.job_id(), event.attempt()));
            async move {
                match event.attempt() {
                    1 => Err("not yet".into()),
                    _ => Ok(()),
                }
            }
        })
        .unwrap();
    let delay = Duration::from_secs(2);
    let worker = hasty(&inbox, registry).with_backoff(delay, delay).unwrap();
    let worker = spawn(worker);
    commit(&inbox, "retried").await;
    until("failed", async || {
        entry(&inbox, "retried").await.attempts == 1
    })
    .await;
    worker.abort();
    commit(&inbox, "new").await;
    set_back(&place).await;
    let _worker = spawn(hasty(&inbox, counting(&log, "fails once")));
    until_handled(&inbox, 2).await;
    assert_eq!(log.lines(), ["retried 1", "new 1", "retried 2"]);
}

async fn a_dead_worker_loses_its_events_although_a_clock_was_set_back(place: Place) {
    let inbox = place.open().await;
    let (registry, begun, _never) = waiting();
    let dying = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    begun.notified().await;
    dying.abort();
    set_back(&place).await;
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "count")));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["job 2"]);
}

async fn events_of_one_job_are_handled_in_their_order(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("log", move |event: WebhookEvent| {
            seen.add(event.status().as_str());
            async { Ok(()) }
        })
        .unwrap();
    let statuses = ["one", "two", "three", "four", "five"];
    for status in statuses {
        inbox.commit(&event("job", status, "")).await.unwrap();
    }
    let _workers = [(); 3].map(|()| spawn(hasty(&inbox, registry.clone())));
    until_handled(&inbox, 5).await;
    assert_eq!(log.lines(), statuses);
}

async fn a_worker_claims_as_many_events_as_it_has_places(place: Place) {
    let inbox = place.open().await;
    let (log, go_on) = (Log::default(), Arc::new(Notify::new()));
    let (seen, wait) = (log.clone(), Arc::clone(&go_on));
    let registry = HandlerRegistry::new()
        .on_any("wait", move |event: WebhookEvent| {
            seen.add(event.job_id());
            let wait = Arc::clone(&wait);
            async move {
                wait.notified().await;
                Ok(())
            }
        })
        .unwrap();
    for number in 0..5 {
        commit(&inbox, &format!("{number}")).await;
    }
    let _worker = spawn(hasty(&inbox, registry).with_concurrency(3).unwrap());
    until("begun", async || log.lines().len() == 3).await;
    let stats = inbox.stats().await.unwrap();
    assert_eq!((stats.running, stats.waiting), (3, 2));
    for handled in 1..=5 {
        until("begun", async || log.lines().len() >= 5.min(handled + 2)).await;
        go_on.notify_one();
    }
    until_handled(&inbox, 5).await;
    assert_eq!(log.lines().len(), 5);
}

#[tokio::test]
async fn an_event_without_a_body_is_dead_with_its_reason() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    commit(&inbox, "broken").await;
    place.execute("DELETE FROM pyannote_bodies").await;
    commit(&inbox, "sound").await;
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "count")));
    until_state(&inbox, "sound", "handled").await;
    until_state(&inbox, "broken", "dead").await;
    let broken = entry(&inbox, "broken").await;
    assert_eq!(
        broken.last_error.as_deref(),
        Some("the event could not be read: its body is missing")
    );
    assert_eq!(log.lines(), ["sound 1"]);
}
