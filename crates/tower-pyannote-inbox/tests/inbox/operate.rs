//! Listing, replaying, pruning and counting.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tower_pyannote::{HandlerRegistry, WebhookEvent, event::EventError};
use tower_pyannote_inbox::{Commit, InboxErrorKind, InboxFilter, InboxState, Replay};

use crate::place::{
    Log, Place, commit, entry, event, hasty, on_each_store, spawn, until, until_state,
};

on_each_store! {
    events_are_listed_by_state_job_and_id,
    a_handled_event_is_replayed_to_all_handlers,
    a_dead_event_is_replayed_to_the_handlers_that_did_not_succeed,
    an_unknown_id_is_not_replayed,
    handled_events_are_pruned_after_their_time_and_others_stay,
    stats_count_waiting_events_and_their_age,
    an_event_in_a_state_that_is_not_known_is_listed_and_counted_as_such,
    a_stored_body_that_is_no_event_is_an_error,
}

async fn events_are_listed_by_state_job_and_id(place: Place) {
    let inbox = place.open().await;
    for (job_id, status) in [("a", "succeeded"), ("a", "failed"), ("b", "canceled")] {
        inbox.commit(&event(job_id, status, "")).await.unwrap();
    }
    let list = |filter: InboxFilter| {
        let inbox = inbox.clone();
        async move {
            let entries = inbox.list(&filter).await.unwrap();
            let mut names: Vec<_> = entries
                .iter()
                .map(|entry| format!("{}:{}", entry.job_id, entry.status))
                .collect();
            names.sort();
            names
        }
    };
    assert_eq!(
        list(InboxFilter::new()).await,
        ["a:failed", "a:succeeded", "b:canceled"]
    );
    let of_job = InboxFilter::new().with_job_id("a");
    assert_eq!(list(of_job).await, ["a:failed", "a:succeeded"]);
    let id = entry(&inbox, "b").await.id;
    assert_eq!(list(InboxFilter::new().with_id(id)).await, ["b:canceled"]);
    let waiting = InboxFilter::new().with_state(InboxState::Waiting);
    assert_eq!(list(waiting).await.len(), 3);
    let dead = InboxFilter::new().with_state(InboxState::Dead);
    assert_eq!(list(dead).await.len(), 0);
    assert_eq!(list(InboxFilter::new().with_limit(2)).await.len(), 2);
}

async fn a_handled_event_is_replayed_to_all_handlers(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let [one, two] = [log.clone(), log.clone()];
    let registry = HandlerRegistry::new()
        .on_any("one", move |_: WebhookEvent| {
            one.add("one");
            async { Ok(()) }
        })
        .unwrap()
        .on_any("two", move |_: WebhookEvent| {
            two.add("two");
            async { Ok(()) }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "handled").await;
    let id = entry(&inbox, "job").await.id;
    assert!(inbox.replay(&id, Replay::Unfinished).await.unwrap());
    until("handled again", async || log.lines().len() == 4).await;
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["one", "two", "one", "two"]);
}

async fn a_dead_event_is_replayed_to_the_handlers_that_did_not_succeed(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let [good, bad] = [log.clone(), log.clone()];
    let registry = HandlerRegistry::new()
        .on_any("good", move |_: WebhookEvent| {
            good.add("good");
            async { Ok(()) }
        })
        .unwrap()
        .on_any("bad", move |event: WebhookEvent| {
            bad.add(format!("bad {}", event.attempt()));
            async { Err("down".into()) }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry).with_max_attempts(1).unwrap());
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "dead").await;
    let dead = entry(&inbox, "job").await;
    assert_eq!(dead.last_error.as_deref(), Some("bad: down"));
    assert_eq!(dead.attempts, 1);
    assert_eq!(log.lines(), ["good", "bad 1"]);

    assert!(inbox.replay(&dead.id, Replay::Unfinished).await.unwrap());
    until("dead again", async || log.lines().len() == 3).await;
    until_state(&inbox, "job", "dead").await;
    assert_eq!(log.lines(), ["good", "bad 1", "bad 1"]);

    assert!(inbox.replay(&dead.id, Replay::All).await.unwrap());
    until("dead once more", async || log.lines().len() == 5).await;
    assert_eq!(log.lines()[3..], ["good", "bad 1"]);
}

async fn an_unknown_id_is_not_replayed(place: Place) {
    let inbox = place.open().await;
    assert!(
        !inbox
            .replay("01ARZ3NDEKTSV4RRFFQ69G5FAV", Replay::All)
            .await
            .unwrap()
    );
    assert!(!inbox.replay("", Replay::All).await.unwrap());
    assert!(inbox.event("nothing").await.unwrap().is_none());
}

async fn handled_events_are_pruned_after_their_time_and_others_stay(place: Place) {
    let inbox = place.open().await;
    let registry = HandlerRegistry::new()
        .on_any("picky", async |event: WebhookEvent| match event.job_id() {
            "bad" => Err(tower_pyannote::HandlerError::permanent("never")),
            _ => Ok(()),
        })
        .unwrap();
    let worker = spawn(hasty(&inbox, registry));
    for number in 0..150 {
        commit(&inbox, &format!("job-{number}")).await;
    }
    commit(&inbox, "bad").await;
    until("all at rest", async || {
        let stats = inbox.stats().await.unwrap();
        (stats.handled, stats.dead) == (150, 1)
    })
    .await;
    worker.abort();
    commit(&inbox, "late").await;
    let other = event("job-3", "succeeded", r#","output":null"#);
    assert_eq!(inbox.commit(&other).await.unwrap(), Commit::Conflict);

    assert_eq!(inbox.prune(Duration::from_secs(3_600)).await.unwrap(), 0);
    let repeat = event("job-0", "succeeded", "");
    assert_eq!(inbox.commit(&repeat).await.unwrap(), Commit::Duplicate);

    assert_eq!(inbox.prune(Duration::ZERO).await.unwrap(), 150);
    let stats = inbox.stats().await.unwrap();
    assert_eq!(
        (stats.waiting, stats.running, stats.handled, stats.dead),
        (1, 0, 0, 1)
    );
    // Pruning removed the conflict too.
    assert_eq!(
        inbox
            .commit(&event("job-3", "succeeded", ""))
            .await
            .unwrap(),
        Commit::New
    );
    assert_eq!(entry(&inbox, "job-3").await.conflicts, 0);
}

async fn stats_count_waiting_events_and_their_age(place: Place) {
    let inbox = place.open().await;
    assert_eq!(inbox.stats().await.unwrap(), Default::default());
    commit(&inbox, "job").await;
    let stats = inbox.stats().await.unwrap();
    assert_eq!(
        (stats.waiting, stats.running, stats.handled, stats.dead),
        (1, 0, 0, 0)
    );
    // The test's events were received at the beginning of 2026.
    assert!(stats.oldest_waiting.unwrap() > Duration::from_secs(24 * 60 * 60));
}

async fn an_event_in_a_state_that_is_not_known_is_listed_and_counted_as_such(place: Place) {
    let inbox = place.open().await;
    for job_id in ["strange", "waits"] {
        commit(&inbox, job_id).await;
    }
    let id = entry(&inbox, "strange").await.id;
    // A later version may have more states.
    place
        .execute(&format!(
            "UPDATE pyannote_events SET state = 'paused' WHERE id = '{id}'"
        ))
        .await;
    assert_eq!(entry(&inbox, "strange").await.state, InboxState::Unknown);
    assert_eq!(entry(&inbox, "waits").await.state, InboxState::Waiting);
    let unknown = InboxFilter::new().with_state(InboxState::Unknown);
    let listed = inbox.list(&unknown).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, id);
    let stats = inbox.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.unknown), (1, 1));
    assert!(!inbox.replay(&id, Replay::All).await.unwrap());
}

async fn a_stored_body_that_is_no_event_is_an_error(place: Place) {
    let inbox = place.open().await;
    commit(&inbox, "job").await;
    let id = entry(&inbox, "job").await.id;
    // The bytes of `{}`.
    place.replace_bodies("7b7d").await;
    let error = inbox.event(&id).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Store);
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(
        source.downcast_ref::<EventError>(),
        Some(&EventError::MissingJobId)
    );
}

#[test]
fn a_large_event_is_read_off_the_async_threads() {
    let place = Place::sqlite().unwrap();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all();
        builder
    };
    let padding = format!(r#","padding":"{}""#, "x".repeat(2 << 20));
    let id = runtime().build().unwrap().block_on(async {
        let inbox = place.open().await;
        let event = event("job", "succeeded", &padding);
        inbox.commit(&event).await.unwrap();
        entry(&inbox, "job").await.id
    });
    // Of this runtime only the blocking pool has threads.
    let threads = Arc::new(AtomicUsize::new(0));
    let started = Arc::clone(&threads);
    let runtime = runtime()
        .on_thread_start(move || {
            started.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    runtime.block_on(async {
        let inbox = place.open().await;
        assert_eq!(threads.load(Ordering::SeqCst), 0);
        let event = inbox.event(&id).await.unwrap().unwrap();
        assert_eq!(event.job_id(), "job");
        assert_eq!(threads.load(Ordering::SeqCst), 1);
    });
}
