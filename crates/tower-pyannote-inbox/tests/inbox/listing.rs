//! What an operator reads of an inbox.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_pyannote::{
    HandlerError, HandlerRegistry, Kind, WebhookEvent,
    event::{Delivery, Retry, RetryReason, Source},
};
use tower_pyannote_inbox::{Commit, InboxEntry, InboxFilter, InboxState};

use crate::place::{
    Place, commit, entry, event, event_of, hasty, on_each_store, spawn, until, until_state,
};

on_each_store! {
    pages_in_either_direction_return_each_event_once,
    events_are_listed_by_status_kind_and_time,
    an_entry_has_its_retry_and_its_next_attempt,
    details_have_the_results_of_handlers_and_the_conflicts,
    a_dead_event_is_marked_as_handled_with_a_reason,
    arrivals_are_counted_by_span,
}

fn at(second: u64, job_id: &str) -> WebhookEvent {
    let received_at = UNIX_EPOCH + Duration::from_secs(second);
    let body = format!(r#"{{"jobId":"{job_id}","status":"succeeded"}}"#);
    WebhookEvent::new(body.into(), Delivery::at(received_at)).unwrap()
}

fn jobs(entries: &[InboxEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.job_id.as_str()).collect()
}

async fn pages_in_either_direction_return_each_event_once(place: Place) {
    let inbox = place.open().await;
    // Several have the same time, and their order of commits is not that of their times.
    for number in [5, 1, 3, 3, 3, 2, 7, 7, 0] {
        let job_id = format!("{number}-{}", inbox.stats().await.unwrap().waiting);
        inbox.commit(&at(number, &job_id)).await.unwrap();
    }
    let newest_first = [
        "7-7", "7-6", "5-0", "3-4", "3-3", "3-2", "2-5", "1-1", "0-8",
    ];
    assert_eq!(
        jobs(&inbox.list(&InboxFilter::new()).await.unwrap()),
        newest_first
    );

    for filter in [
        InboxFilter::new(),
        InboxFilter::new().with_state(InboxState::Waiting),
    ] {
        let filter = filter.with_limit(2);
        let mut older = Vec::new();
        let mut page = inbox.list(&filter).await.unwrap();
        while let Some(last) = page.last() {
            let next = filter.clone().with_before(last.cursor());
            older.append(&mut page);
            page = inbox.list(&next).await.unwrap();
        }
        assert_eq!(jobs(&older), newest_first);

        let mut newer = vec![older.pop().unwrap()];
        loop {
            let page = filter.clone().with_after(newer[0].cursor());
            let page = inbox.list(&page).await.unwrap();
            if page.is_empty() {
                break;
            }
            newer.splice(..0, page);
        }
        assert_eq!(jobs(&newer), newest_first);
    }
    let all = inbox.list(&InboxFilter::new()).await.unwrap();
    let between = InboxFilter::new()
        .with_before(all[2].cursor())
        .with_after(all[6].cursor());
    let between = inbox.list(&between).await.unwrap();
    assert_eq!(jobs(&between), ["3-4", "3-3", "3-2"]);
}

async fn events_are_listed_by_status_kind_and_time(place: Place) {
    let inbox = place.open().await;
    for second in [10, 20, 30] {
        inbox
            .commit(&at(second, &second.to_string()))
            .await
            .unwrap();
    }
    let voiceprint = event("voice", "succeeded", r#","output":{"voiceprint":"abc"}"#);
    inbox.commit(&voiceprint).await.unwrap();
    inbox.commit(&event("failed", "failed", "")).await.unwrap();
    let list = async |filter: InboxFilter| {
        let entries = inbox.list(&filter).await.unwrap();
        entries
            .into_iter()
            .map(|entry| entry.job_id)
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(
        list(InboxFilter::new().with_status("failed")).await,
        "failed"
    );
    assert_eq!(
        list(InboxFilter::new().with_kind(Some(Kind::Voiceprint))).await,
        "voice"
    );
    assert_eq!(
        list(InboxFilter::new().with_kind(None)).await,
        "failed 30 20 10"
    );
    let second = |second| UNIX_EPOCH + Duration::from_secs(second);
    let from = InboxFilter::new().with_received_from(second(20));
    assert_eq!(list(from.with_received_to(second(30))).await, "20");
    assert_eq!(
        list(InboxFilter::new().with_received_to(second(20))).await,
        "10"
    );
    let hostile = InboxFilter::new().with_status("' OR 1=1 --");
    assert_eq!(list(hostile).await, "");
    for reference in ["%", "\0", "' OR 1=1 --"] {
        let hostile = InboxFilter::new().with_reference(reference);
        assert_eq!(list(hostile).await, "");
    }
    inbox.commit(&event("nul", "a\\u0000", "")).await.unwrap();
    let nul = InboxFilter::new().with_status("a\0");
    assert_eq!(list(nul).await, "nul");
}

async fn an_entry_has_its_retry_and_its_next_attempt(place: Place) {
    let inbox = place.open().await;
    let retry = Retry::new(2, Some(RetryReason::HttpTimeout));
    let delivery = Delivery::at(SystemTime::now()).with_retry(Some(retry.clone()));
    let body = r#"{"jobId":"job","status":"succeeded"}"#;
    let event = WebhookEvent::new(body.into(), delivery).unwrap();
    inbox.commit(&event).await.unwrap();
    let waiting = entry(&inbox, "job").await;
    assert_eq!(waiting.source, Source::Webhook);
    assert_eq!(waiting.retry, Some(retry));
    let due = waiting.next_attempt_at.unwrap();
    let age = SystemTime::now().duration_since(due).unwrap_or_default();
    assert!(age < Duration::from_secs(60), "{age:?}");

    let registry = HandlerRegistry::new().on_any("fine", async |_: WebhookEvent| Ok(()));
    let _worker = spawn(hasty(&inbox, registry.unwrap()));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(entry(&inbox, "job").await.next_attempt_at, None);
}

async fn details_have_the_results_of_handlers_and_the_conflicts(place: Place) {
    let inbox = place.open().await;
    let registry = HandlerRegistry::new()
        .on_any("fine", async |_: WebhookEvent| Ok(()))
        .unwrap()
        .on_any("picky", async |_: WebhookEvent| {
            Err(HandlerError::permanent("never"))
        })
        .unwrap();
    commit(&inbox, "job").await;
    let other = event_of(r#"{"jobId":"job","status":"succeeded","more":1}"#.to_owned());
    assert_eq!(inbox.commit(&other).await.unwrap(), Commit::Conflict);
    let _worker = spawn(hasty(&inbox, registry));
    until_state(&inbox, "job", "dead").await;
    let id = entry(&inbox, "job").await.id;
    let details = inbox.details(&id).await.unwrap().unwrap();
    assert_eq!(details.entry.id, id);
    assert_eq!(details.entry.conflicts, 1);
    let results = details.results.iter();
    let results: Vec<_> = results
        .map(|result| (result.handler.as_str(), result.error.as_deref()))
        .collect();
    assert_eq!(results, [("fine", None), ("picky", Some("picky: never"))]);
    let [conflict] = &details.conflicts[..] else {
        panic!("{details:?}");
    };
    assert_ne!(conflict.sha256, details.sha256);
    assert_eq!(conflict.bytes, 45);
    for id in ["0", "-1", "x", "", "9223372036854775807"] {
        assert!(inbox.details(id).await.unwrap().is_none(), "{id}");
    }
}

async fn a_dead_event_is_marked_as_handled_with_a_reason(place: Place) {
    let inbox = place.open().await;
    let registry = HandlerRegistry::new()
        .on_any("picky", async |_: WebhookEvent| {
            Err(HandlerError::permanent("never"))
        })
        .unwrap();
    commit(&inbox, "job").await;
    let id = entry(&inbox, "job").await.id;
    assert!(!inbox.mark_handled(&id, "too early").await.unwrap());
    let _worker = spawn(hasty(&inbox, registry));
    until_state(&inbox, "job", "dead").await;
    assert!(inbox.mark_handled(&id, "sent by hand").await.unwrap());
    let details = inbox.details(&id).await.unwrap().unwrap();
    assert_eq!(details.entry.state, InboxState::Handled);
    let error = "picky: never; then marked as handled: sent by hand";
    assert_eq!(details.entry.last_error.as_deref(), Some(error));
    assert!(details.entry.finished_at.is_some());
    assert_eq!(details.results, []);
    until("counted", async || {
        let stats = inbox.stats().await.unwrap();
        (stats.handled, stats.dead) == (1, 0)
    })
    .await;
    for id in [id.as_str(), "0", "x"] {
        assert!(!inbox.mark_handled(id, "again").await.unwrap());
    }
    assert_eq!(inbox.prune(Duration::ZERO).await.unwrap(), 1);
}

async fn arrivals_are_counted_by_span(place: Place) {
    let inbox = place.open().await;
    let minute = Duration::from_secs(60);
    for (job_id, age) in [("a", 0), ("b", 90), ("c", 90), ("d", 90_000)] {
        let received_at = SystemTime::now() - Duration::from_secs(age);
        let body = format!(r#"{{"jobId":"{job_id}","status":"succeeded"}}"#);
        let event = WebhookEvent::new(body.into(), Delivery::at(received_at)).unwrap();
        inbox.commit(&event).await.unwrap();
    }
    assert_eq!(inbox.arrivals(minute, 3).await.unwrap(), [0, 2, 1]);
    assert_eq!(inbox.arrivals(minute, 0).await.unwrap(), [0; 0]);
    let counts = inbox.arrivals(Duration::MAX, 2).await.unwrap();
    assert_eq!(counts.iter().sum::<u64>(), 4);
}
