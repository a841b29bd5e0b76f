//! Commits of deliveries, and the answers to them.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use sqlx::{Connection, SqliteConnection};
use tower::{ServiceBuilder, ServiceExt};
use tower_pyannote::{
    PyannoteSignatureLayer,
    event::{Retry, RetryReason},
    layer::VerifySignature,
};
use tower_pyannote_inbox::{Commit, Inbox, InboxErrorKind, InboxFilter, InboxService};

use crate::place::{Place, entry, event, event_of, on_each_store};

use tower_pyannote_test_support::delivery::{self, clock, now, request, secret};

on_each_store! {
    a_delivery_is_stored_as_it_was_received,
    a_repeat_is_answered_200_and_stored_once,
    another_body_for_the_same_event_is_kept_as_a_conflict,
    a_later_delivery_with_output_does_not_replace_one_without,
    sixty_four_concurrent_deliveries_commit_one_event_once,
    two_replicas_with_the_same_deliveries_commit_each_once,
    similar_job_ids_and_statuses_are_different_events,
    a_job_id_of_any_length_and_content_is_committed,
    one_event_of_a_megabyte_and_many_small_ones_share_a_commit,
    a_request_without_an_event_is_answered_500,
    check_succeeds_where_an_event_could_be_committed,
}

fn receiver(inbox: &Inbox) -> VerifySignature<InboxService, tower_pyannote::clock::ManualClock> {
    ServiceBuilder::new()
        .layer(PyannoteSignatureLayer::new(secret()).with_clock(clock()))
        .service(inbox.service())
}

async fn a_delivery_is_stored_as_it_was_received(place: Place) {
    let inbox = place.open().await;
    // The stored bytes keep blanks and the order of keys.
    let body = br#" { "status":"succeeded" , "output":{"diarization":[]},  "jobId":"job-1"}  "#;
    let mut request = request(body, Full::<Bytes>::from(&body[..]));
    request
        .headers_mut()
        .insert("x-retry-num", "2".parse().unwrap());
    let reason = "http_timeout".parse().unwrap();
    request.headers_mut().insert("x-retry-reason", reason);
    let answer = receiver(&inbox).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    let entry = entry(&inbox, "job-1").await;
    assert_eq!(entry.status, "succeeded");
    assert_eq!(entry.kind.map(|kind| kind.as_str()), Some("diarization"));
    assert_eq!(entry.state.as_str(), "waiting");
    assert_eq!(entry.received_at, now());
    assert_eq!((entry.attempts, entry.bytes, entry.conflicts), (0, 74, 0));

    // Another process reads the same event.
    let event = place.open().await.event(&entry.id).await.unwrap().unwrap();
    assert_eq!(event.raw(), &body[..]);
    assert_eq!(event.timestamp(), 1_767_225_600);
    assert_eq!(event.received_at(), now());
    assert_eq!(
        event.retry(),
        Some(&Retry::new(2, Some(RetryReason::HttpTimeout)))
    );
}

async fn a_repeat_is_answered_200_and_stored_once(place: Place) {
    let inbox = place.open().await;
    for _ in 0..3 {
        let request = request(delivery::EVENT, Full::<Bytes>::from(delivery::EVENT));
        let answer = receiver(&inbox).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    assert_eq!(inbox.stats().await.unwrap().waiting, 1);
    let again = inbox
        .commit(&event_of(String::from_utf8_lossy(delivery::EVENT).into()))
        .await;
    assert_eq!(again.unwrap(), Commit::Duplicate);
}

async fn another_body_for_the_same_event_is_kept_as_a_conflict(place: Place) {
    let inbox = place.open().await;
    let first = event("job", "failed", "");
    let second = event("job", "failed", r#","output":{"error":"no audio"}"#);
    assert_eq!(inbox.commit(&first).await.unwrap(), Commit::New);
    assert_eq!(inbox.commit(&second).await.unwrap(), Commit::Conflict);
    // The second delivery of the same conflict stores nothing.
    assert_eq!(inbox.commit(&second).await.unwrap(), Commit::Conflict);
    assert_eq!(inbox.commit(&first).await.unwrap(), Commit::Duplicate);
    let entry = entry(&inbox, "job").await;
    assert_eq!(entry.conflicts, 1);
    let kept = inbox.event(&entry.id).await.unwrap().unwrap();
    assert_eq!(kept.raw(), first.raw());
}

async fn a_later_delivery_with_output_does_not_replace_one_without(place: Place) {
    let inbox = place.open().await;
    let bare = event("job", "succeeded", "");
    let full = event("job", "succeeded", r#","output":{"voiceprint":"AAAA"}"#);
    assert_eq!(inbox.commit(&bare).await.unwrap(), Commit::New);
    assert_eq!(inbox.commit(&full).await.unwrap(), Commit::Conflict);
    let entry = entry(&inbox, "job").await;
    assert_eq!((entry.kind, entry.conflicts), (None, 1));
}

async fn sixty_four_concurrent_deliveries_commit_one_event_once(place: Place) {
    let inbox = place.open().await;
    let commits = (0..64).map(|_| {
        let inbox = inbox.clone();
        tokio::spawn(async move { inbox.commit(&event("job", "succeeded", "")).await.unwrap() })
    });
    let commits: Vec<_> = commits.collect();
    let mut counts = HashMap::new();
    for commit in commits {
        *counts.entry(commit.await.unwrap()).or_insert(0) += 1;
    }
    assert_eq!(
        counts,
        HashMap::from([(Commit::New, 1), (Commit::Duplicate, 63)])
    );
    assert_eq!(inbox.stats().await.unwrap().waiting, 1);
}

async fn two_replicas_with_the_same_deliveries_commit_each_once(place: Place) {
    let replicas = [place.open().await, place.open().await];
    let mut commits = Vec::new();
    for number in 0..100 {
        // One replica begins with the first event and the other with the last.
        for (inbox, number) in replicas.iter().zip([number, 99 - number]) {
            let inbox = inbox.clone();
            commits.push(tokio::spawn(async move {
                let job_id = format!("job-{number}");
                let event = event(&job_id, "succeeded", "");
                (job_id, inbox.commit(&event).await.unwrap())
            }));
        }
    }
    let mut of_job: HashMap<String, Vec<Commit>> = HashMap::new();
    for commit in commits {
        let (job_id, commit) = commit.await.unwrap();
        of_job.entry(job_id).or_default().push(commit);
    }
    assert_eq!(of_job.len(), 100);
    for (job_id, mut commits) in of_job {
        commits.sort_by_key(|commit| commit.as_str());
        assert_eq!(commits, [Commit::Duplicate, Commit::New], "{job_id}");
    }
    assert_eq!(replicas[0].stats().await.unwrap().waiting, 100);
}

async fn similar_job_ids_and_statuses_are_different_events(place: Place) {
    let inbox = place.open().await;
    let events = [
        event("a", "b:c", ""),
        event("a:b", "c", ""),
        event("A", "b:c", ""),
        event("a ", "b:c", ""),
        event("é", "failed", ""),
        event("e\u{301}", "failed", ""),
    ];
    for event in &events {
        assert_eq!(inbox.commit(event).await.unwrap(), Commit::New, "{event:?}");
    }
    assert_eq!(inbox.stats().await.unwrap().waiting, 6);
}

async fn a_job_id_of_any_length_and_content_is_committed(place: Place) {
    let inbox = place.open().await;
    let long = "x".repeat(1 << 20);
    let longer = "x".repeat((1 << 20) + 1);
    for job_id in [
        "nul \0 within",
        "'; DROP TABLE jobs; --",
        "%\\_\u{10ffff}",
        &long,
        &longer,
    ] {
        let event = event(job_id, "succeeded", "");
        assert_eq!(inbox.commit(&event).await.unwrap(), Commit::New);
        assert_eq!(inbox.commit(&event).await.unwrap(), Commit::Duplicate);
        let entry = entry(&inbox, job_id).await;
        let kept = inbox.event(&entry.id).await.unwrap().unwrap();
        assert_eq!(kept.job_id(), job_id);
    }
}

async fn one_event_of_a_megabyte_and_many_small_ones_share_a_commit(place: Place) {
    let inbox = place.open().await;
    let padding = format!(r#","padding":"{}""#, "x".repeat(5 << 20));
    let commits = (0..32).map(|number| {
        let inbox = inbox.clone();
        let rest = if number == 7 {
            padding.clone()
        } else {
            String::new()
        };
        tokio::spawn(async move {
            let event = event(&format!("job-{number}"), "succeeded", &rest);
            inbox.commit(&event).await.unwrap()
        })
    });
    for commit in commits.collect::<Vec<_>>() {
        assert_eq!(commit.await.unwrap(), Commit::New);
    }
    let big = entry(&inbox, "job-7").await;
    assert_eq!(
        inbox.event(&big.id).await.unwrap().unwrap().raw().len() as u64,
        big.bytes
    );
    assert!(big.bytes > 5 << 20);
}

async fn a_request_without_an_event_is_answered_500(place: Place) {
    let inbox = place.open().await;
    let answer = inbox.service().oneshot(Request::new(())).await.unwrap();
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let filter = InboxFilter::new();
    assert_eq!(inbox.list(&filter).await.unwrap().len(), 0);
}

async fn check_succeeds_where_an_event_could_be_committed(place: Place) {
    place.open().await.check().await.unwrap();
}

#[tokio::test]
async fn a_locked_database_is_answered_503_within_5_s_and_accepts_once_unlocked() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let mut other = SqliteConnection::connect(place.address()).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .unwrap();

    let begun = Instant::now();
    let deliveries = (0..8).map(|_| {
        let request = request(delivery::EVENT, Full::<Bytes>::from(delivery::EVENT));
        tokio::spawn(receiver(&inbox).oneshot(request))
    });
    for delivery in deliveries.collect::<Vec<_>>() {
        let answer = delivery.await.unwrap().unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "5");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
    inbox.check().await.unwrap_err();

    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let request = request(delivery::EVENT, Full::<Bytes>::from(delivery::EVENT));
    let answer = receiver(&inbox).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(inbox.stats().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn an_address_of_no_known_database_is_refused_without_repeating_it() {
    for address in [
        "",
        "inbox.sqlite",
        "mysql://root:whs_secret@localhost/x",
        "redis://whs_secret",
        "postgres://role@localhost/x?host=%2Fnowhere&sslpassword=whs_secret",
    ] {
        let error = Inbox::open(address).await.unwrap_err();
        assert_eq!(error.kind(), InboxErrorKind::Address, "{address}");
        assert!(!format!("{error:?} {error}").contains("whs_secret"));
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("inbox.sqlite");
    std::fs::write(
        &path,
        "this is no database, and long enough not to be taken for an empty one",
    )
    .unwrap();
    let error = Inbox::sqlite(&path).await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Open);
}
