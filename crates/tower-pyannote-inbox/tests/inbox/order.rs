//! The order of the events of one job.

use std::time::Duration;

use tower_pyannote::{HandlerError, HandlerRegistry, WebhookEvent};
use tower_pyannote_inbox::{Inbox, InboxFilter, Replay};

use crate::{
    place::{
        Log, Place, commit, event, hasty, on_each_store, spawn, stoppable, until, until_handled,
    },
    queue::set_back,
};

on_each_store! {
    a_later_event_waits_for_the_retries_of_an_earlier_one,
    a_later_event_waits_for_an_earlier_one_that_is_due_in_an_hour,
    a_later_event_waits_after_the_clock_was_set_back,
    a_later_event_goes_on_after_an_earlier_one_is_dead,
    a_later_event_goes_on_after_an_earlier_one_was_pruned,
    a_replayed_dead_event_comes_before_a_later_one,
    due_events_of_a_job_are_never_claimed_together,
}

/// Commits two events of a job.
async fn commit_two(inbox: &Inbox) {
    for status in ["first", "second"] {
        inbox.commit(&event("job", status, "")).await.unwrap();
    }
}

/// Returns a handler that logs the status and the attempt of each event, and ends as `end` says.
fn logging(
    log: &Log,
    end: impl Fn(&WebhookEvent) -> Result<(), HandlerError> + Clone + Send + Sync + 'static,
) -> HandlerRegistry {
    let log = log.clone();
    HandlerRegistry::new()
        .on_any("log", move |event: WebhookEvent| {
            log.add(format!("{} {}", event.status().as_str(), event.attempt()));
            let ended = end(&event);
            async move { ended }
        })
        .unwrap()
}

/// Fails the first two attempts of the first event.
fn fail_twice(event: &WebhookEvent) -> Result<(), HandlerError> {
    match (event.status().as_str(), event.attempt()) {
        ("first", 1 | 2) => Err("not yet".into()),
        _ => Ok(()),
    }
}

/// Fails the first event, with a retry after an hour.
fn fail_for_an_hour(event: &WebhookEvent) -> Result<(), HandlerError> {
    match event.status().as_str() {
        "first" => Err(HandlerError::new("busy").retry_after(Duration::from_secs(3_600))),
        _ => Ok(()),
    }
}

async fn id_of(inbox: &Inbox, status: &str) -> String {
    let entries = inbox.list(&InboxFilter::new()).await.unwrap();
    let mut entries = entries.into_iter();
    let entry = entries.find(|entry| entry.status == status);
    entry.unwrap().id
}

async fn a_later_event_waits_for_the_retries_of_an_earlier_one(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let delay = Duration::from_millis(300);
    let workers = [(); 2].map(|()| {
        let worker = hasty(&inbox, logging(&log, fail_twice));
        worker.with_backoff(delay, delay).unwrap()
    });
    let _workers = workers.map(spawn);
    commit_two(&inbox).await;
    until_handled(&inbox, 2).await;
    assert_eq!(log.lines(), ["first 1", "first 2", "first 3", "second 1"]);
}

async fn a_later_event_waits_for_an_earlier_one_that_is_due_in_an_hour(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, logging(&log, fail_for_an_hour)));
    commit_two(&inbox).await;
    until("failed", async || log.lines() == ["first 1"]).await;
    // The events of other jobs do not wait.
    for number in 0..20 {
        commit(&inbox, &format!("{number}")).await;
    }
    until_handled(&inbox, 20).await;
    assert!(!log.lines().contains(&"second 1".to_owned()));

    place
        .execute("UPDATE pyannote_events SET due_at = queued_at WHERE status = 'first'")
        .await;
    until("again", async || {
        log.lines().contains(&"first 2".to_owned())
    })
    .await;
    assert!(!log.lines().contains(&"second 1".to_owned()));
}

async fn a_later_event_waits_after_the_clock_was_set_back(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let worker = spawn(hasty(&inbox, logging(&log, fail_for_an_hour)));
    inbox.commit(&event("job", "first", "")).await.unwrap();
    until("waiting again", async || {
        inbox.stats().await.unwrap().waiting == 1 && log.lines() == ["first 1"]
    })
    .await;
    worker.abort();
    // Now the first event is due in two hours, although its delay is an hour.
    set_back(&place).await;
    inbox.commit(&event("job", "second", "")).await.unwrap();
    commit(&inbox, "other").await;
    let _worker = spawn(hasty(&inbox, logging(&log, fail_twice)));
    until_handled(&inbox, 1).await;
    assert_eq!(log.lines(), ["first 1", "succeeded 1"]);
    // The hour is over.
    place
        .execute("UPDATE pyannote_events SET due_at = queued_at WHERE status = 'first'")
        .await;
    until_handled(&inbox, 3).await;
    let lines = log.lines();
    assert_eq!(lines[2..], ["first 2", "first 3", "second 1"]);
}

async fn a_later_event_goes_on_after_an_earlier_one_is_dead(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let worker = hasty(&inbox, logging(&log, fail_twice));
    let _worker = spawn(worker.with_max_attempts(2).unwrap());
    commit_two(&inbox).await;
    until_handled(&inbox, 1).await;
    assert_eq!(log.lines(), ["first 1", "first 2", "second 1"]);
    assert_eq!(inbox.stats().await.unwrap().dead, 1);
}

async fn a_later_event_goes_on_after_an_earlier_one_was_pruned(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let (stop, worker) = stoppable(hasty(&inbox, logging(&log, |_| Ok(()))));
    inbox.commit(&event("job", "first", "")).await.unwrap();
    until_handled(&inbox, 1).await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    inbox.commit(&event("job", "second", "")).await.unwrap();
    assert_eq!(inbox.prune(Duration::ZERO).await.unwrap(), 1);
    let _worker = spawn(hasty(&inbox, logging(&log, |_| Ok(()))));
    until_handled(&inbox, 1).await;
    assert_eq!(log.lines(), ["first 1", "second 1"]);
}

async fn a_replayed_dead_event_comes_before_a_later_one(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let worker = hasty(&inbox, logging(&log, fail_twice));
    let (stop, worker) = stoppable(worker.with_max_attempts(1).unwrap());
    inbox.commit(&event("job", "first", "")).await.unwrap();
    until("dead", async || inbox.stats().await.unwrap().dead == 1).await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    inbox.commit(&event("job", "second", "")).await.unwrap();
    // The replay makes the first event due after the second one.
    let first = id_of(&inbox, "first").await;
    assert!(inbox.replay(&first, Replay::All).await.unwrap());
    let _worker = spawn(hasty(&inbox, logging(&log, fail_twice)));
    until_handled(&inbox, 2).await;
    assert_eq!(
        log.lines(),
        ["first 1", "first 1", "first 2", "first 3", "second 1"]
    );
}

async fn due_events_of_a_job_are_never_claimed_together(place: Place) {
    let inbox = place.open().await;
    commit_two(&inbox).await;
    commit(&inbox, "other").await;
    // The later event is due first.
    place
        .execute("UPDATE pyannote_events SET due_at = due_at - 1000000000 WHERE status = 'second'")
        .await;
    let (registry, begun, go_on) = crate::place::waiting();
    let _worker = spawn(hasty(&inbox, registry).with_concurrency(8).unwrap());
    begun.notified().await;
    let running = async || {
        let stats = inbox.stats().await.unwrap();
        (stats.running, stats.waiting)
    };
    until("two jobs run", async || running().await == (2, 1)).await;
    let entries = inbox.list(&InboxFilter::new()).await.unwrap();
    let waiting = entries
        .iter()
        .find(|entry| entry.finished_at.is_none() && entry.state.as_str() == "waiting");
    assert_eq!(waiting.unwrap().status, "second");
    go_on.notify_waiters();
    until("handled", async || {
        go_on.notify_waiters();
        inbox.stats().await.unwrap().handled == 3
    })
    .await;
}
