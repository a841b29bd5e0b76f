use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use tempfile::TempDir;
use tower_pyannote_test_support::postgres::Postgres as Server;

use super::{
    session::{Engine, Session},
    *,
};
use crate::{
    filter::InboxFilter,
    postgres::Postgres,
    record::Record,
    sqlite::SqliteFile,
    store::{Claim, End, Missing, Outcome, Settled},
};
use tower_pyannote::{
    WebhookEvent,
    event::{Delivery, Source},
};

async fn sqlite(directory: &TempDir) -> SqlStore {
    let path = directory.path().join("inbox.sqlite");
    let file = SqliteFile::open(&path, Missing::Made, Duration::from_secs(4), 4);
    let engine = Engine::Sqlite(file.await.unwrap());
    prepare(&engine, Missing::Made, true).await.unwrap();
    SqlStore::new(engine)
}

async fn postgres() -> Option<(SqlStore, Server)> {
    let server = Server::start()?;
    let url = server.url("postgres");
    let postgres = Postgres::open(&url, "tower_pyannote", Duration::from_secs(4), 4);
    let engine = Engine::Postgres(postgres.await.unwrap());
    prepare(&engine, Missing::Made, true).await.unwrap();
    Some((SqlStore::new(engine), server))
}

fn event(number: usize, bytes: usize) -> Record {
    let mut body = format!(r#"{{"jobId":"{number}"}}"#).into_bytes();
    body.resize(bytes, b' ');
    let delivery = Delivery::at(SystemTime::UNIX_EPOCH);
    let event = WebhookEvent::new(Bytes::from(body), delivery).unwrap();
    Record::of(&event, Source::Webhook)
}

#[tokio::test]
async fn what_is_pruned_in_one_transaction_is_bounded_in_number_and_size() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory).await;
    // 150 small ones, then 20 of a MiB each.
    let sizes = [(150, 64), (20, 1 << 20)];
    let sizes = sizes
        .into_iter()
        .flat_map(|(count, size)| vec![size; count]);
    let records: Vec<_> = sizes
        .enumerate()
        .map(|(number, size)| event(number, size))
        .collect();
    let batch = Batch {
        records,
        ..Batch::default()
    };
    store.transact(&batch).await.unwrap();
    let mut session = store.engine.write().await.unwrap();
    let finish = "UPDATE pyannote_events SET state = 'handled', finished_at = received_at + id";
    session.run(finish, &[]).await.unwrap();
    session.commit().await.unwrap();
    let mut pruned = Vec::new();
    while pruned.last() != Some(&0) {
        pruned.push(store.prune(i64::MAX).await.unwrap());
    }
    assert_eq!(pruned, [100, 66, 4, 0]);
}

#[tokio::test]
async fn sqlite_claims_from_a_backlog_of_100_000_events_by_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let store = sqlite(&directory).await;
    let mut session = store.engine.write().await.unwrap();
    backlog(&mut session, BACKLOG_SQLITE).await;
    session.run("ANALYZE", &[]).await.unwrap();
    session.commit().await.unwrap();
    let mut session = store.engine.read().await.unwrap();
    let explain: &'static str = format!("EXPLAIN QUERY PLAN {}", sql::CLAIM_SQLITE).leak();
    let values = [
        Value::Text("worker"),
        Value::Int(10),
        Value::Int(0),
        Value::Int(0),
    ];
    let plan: Vec<(i64, i64, i64, String)> = session.rows(explain, &values).await.unwrap();
    let plan: Vec<String> = plan.into_iter().map(|(_, _, _, step)| step).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("SEARCH e USING COVERING INDEX inbox_due")
            || plan.contains("SEARCH e USING INDEX inbox_due"),
        "{plan}"
    );
    assert!(plan.contains("SEARCH o USING INDEX inbox_job"), "{plan}");
    assert!(
        !plan.contains("SCAN e") && !plan.contains("TEMP B-TREE FOR ORDER BY"),
        "{plan}"
    );
    for (statement, index, page) in pages() {
        let explain = statement.replace("EXPLAIN", "EXPLAIN QUERY PLAN").leak();
        let plan: Vec<(i64, i64, i64, String)> = session.rows(explain, &page).await.unwrap();
        let plan = plan.into_iter().map(|(_, _, _, step)| step);
        let plan = plan.collect::<Vec<_>>().join("\n");
        assert!(
            plan.contains(&format!("SEARCH e USING INDEX {index} ")),
            "{plan}"
        );
        let sorts = plan.contains("USE TEMP B-TREE FOR ORDER BY");
        assert_eq!(sorts, index == "inbox_job", "{plan}");
    }
    drop(session);
    counts_and_claims(&store).await;
}

#[tokio::test]
async fn postgresql_claims_from_a_backlog_of_100_000_events_by_an_index() {
    let Some((store, _server)) = postgres().await else {
        return;
    };
    let mut session = store.engine.write().await.unwrap();
    backlog(&mut session, BACKLOG_POSTGRES).await;
    session.run("ANALYZE", &[]).await.unwrap();
    session.commit().await.unwrap();
    let mut session = store.engine.read().await.unwrap();
    let explain: &'static str = format!("EXPLAIN {}", sql::CLAIM_POSTGRES).leak();
    let values = [
        Value::Text("worker"),
        Value::Int(10),
        Value::Int(0),
        Value::Int(0),
    ];
    let plan: Vec<(String,)> = session.rows(explain, &values).await.unwrap();
    let plan: Vec<String> = plan.into_iter().map(|(step,)| step).collect();
    let plan = plan.join("\n");
    assert!(plan.contains("inbox_due"), "{plan}");
    // Events that wait for a retry are not read.
    let bounds = "Index Cond: ((due_at >= '0'::bigint) AND (due_at <= $0))";
    assert!(plan.contains(bounds), "{plan}");
    assert!(
        !plan.contains("Sort") && !plan.contains("Seq Scan on pyannote_events"),
        "{plan}"
    );
    for (statement, index, page) in pages() {
        let plan: Vec<(String,)> = session.rows(statement.leak(), &page).await.unwrap();
        let plan = plan.into_iter().map(|(step,)| step);
        let plan = plan.collect::<Vec<_>>().join("\n");
        assert!(plan.contains(index), "{plan}");
    }
    drop(session);
    counts_and_claims(&store).await;
}

#[tokio::test]
async fn sqlite_keeps_no_result_that_is_written_again_after_a_replay() {
    let directory = tempfile::tempdir().unwrap();
    result_after_replay(&sqlite(&directory).await).await;
}

#[tokio::test]
async fn postgresql_keeps_no_result_that_is_written_again_after_a_replay() {
    if let Some((store, _server)) = postgres().await {
        result_after_replay(&store).await;
    }
}

/// Writes an outcome, loses the answer, and writes it again after an operator replayed the event.
async fn result_after_replay(store: &SqlStore) {
    let worker: Arc<str> = "worker".into();
    let claims = Places {
        worker: Arc::clone(&worker),
        places: 1,
        is_idle: false,
    };
    let batch = Batch {
        records: vec![event(1, 64)],
        claims: vec![claims],
        ..Batch::default()
    };
    let done = store.transact(&batch).await.unwrap();
    let Claim { id, number, .. } = done.claimed[0][0].claim;
    let outcome = Outcome {
        claim: Claim { id, worker, number },
        settled: Some(Settled {
            handler: "second".to_owned(),
            error: None,
        }),
        end: Some(End::Retry {
            delay: Duration::ZERO,
            error: "first: not yet".to_owned(),
        }),
        has_results: false,
    };
    let write = Batch::of_outcome(outcome);
    let handlers = async || {
        let details = store.details(id).await.unwrap().unwrap();
        let results = details.results.into_iter();
        results.map(|result| result.handler).collect::<Vec<_>>()
    };
    assert_eq!(store.transact(&write).await.unwrap().written, [true]);
    assert_eq!(handlers().await, ["second"]);
    assert!(store.replay(id, Replay::All).await.unwrap());
    store.transact(&write).await.unwrap();
    assert!(handlers().await.is_empty());
}

#[tokio::test]
async fn an_event_before_the_front_of_a_backlog_is_claimed_within_seconds() {
    let Some((store, _server)) = postgres().await else {
        return;
    };
    let mut session = store.engine.write().await.unwrap();
    let insert = BACKLOG_POSTGRES.replace("100000", "4000").leak();
    backlog(&mut session, insert).await;
    session.commit().await.unwrap();
    let claim = async |places| {
        let places = Places {
            worker: "worker".into(),
            places,
            is_idle: false,
        };
        let batch = Batch {
            claims: vec![places],
            ..Batch::default()
        };
        let claimed = store.transact(&batch).await.unwrap().claimed;
        let ids = claimed[0].iter().map(|claimed| claimed.claim.id);
        ids.collect::<Vec<_>>()
    };
    for first in [1, 1_001] {
        assert_eq!(claim(1_000).await, Vec::from_iter(first..first + 1_000));
    }
    let held = (1..=4_000).filter(|id| *id != 7).collect();
    assert_eq!(store.release("worker", &held).await.unwrap(), 1);
    let begun = std::time::Instant::now();
    while !claim(1).await.contains(&7) {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
}

/// Returns the statement of each filter for which a page of 100,000 events needs an index, the index, and the values.
fn pages() -> Vec<(String, &'static str, [Value<'static>; 12])> {
    let dead = InboxFilter::new().with_state(InboxState::Dead);
    let waiting = InboxFilter::new().with_state(InboxState::Waiting);
    let cursor = "1-1".parse().unwrap();
    [
        (InboxFilter::new(), "inbox_received"),
        (InboxFilter::new().with_after(cursor), "inbox_received"),
        (dead.clone(), "inbox_dead"),
        (dead.with_after(cursor), "inbox_dead"),
        (waiting, "inbox_unfinished"),
        (InboxFilter::new().with_job_id("a"), "inbox_job"),
        (InboxFilter::new().with_reference("a"), "inbox_job"),
    ]
    .map(|(filter, index)| {
        let mut page = PAGE;
        // PostgreSQL reads nothing for a reference that is null.
        page[11] = Value::MaybeText(filter.reference.as_ref().map(|_| "a"));
        (format!("EXPLAIN {}", listing::list(&filter)), index, page)
    })
    .to_vec()
}

const PAGE: [Value<'static>; 12] = [
    Value::Int(0),
    Value::Int(0),
    Value::Int(50_000),
    Value::Int(50_000),
    Value::MaybeText(None),
    Value::Bool(false),
    Value::Bytes(b"job 1"),
    Value::MaybeInt(None),
    Value::MaybeText(None),
    Value::MaybeText(None),
    Value::Int(50),
    Value::MaybeText(None),
];

async fn backlog(session: &mut Session, insert: &'static str) {
    session.run(insert, &[]).await.unwrap();
}

/// Counts the backlog, and claims its oldest events.
async fn counts_and_claims(store: &SqlStore) {
    let worker: Arc<str> = "worker".into();
    store
        .keep_alive(&worker, Duration::from_secs(30))
        .await
        .unwrap();
    assert_eq!(store.stats().await.unwrap().waiting, 100_000);
    let places = Places {
        worker,
        places: 10,
        is_idle: true,
    };
    let batch = Batch {
        claims: vec![places],
        ..Batch::default()
    };
    let done = store.transact(&batch).await.unwrap();
    let ids: Vec<i64> = done.claimed[0]
        .iter()
        .map(|claimed| claimed.claim.id)
        .collect();
    assert_eq!(ids, Vec::from_iter(1..=10));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.waiting, stats.running), (99_990, 10));
}

const BACKLOG_SQLITE: &str = "\
WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
INSERT INTO pyannote_events (event_key, job_key, job_id, status, source, sha256, body_bytes, received_at, signed_at,
    queued_at, due_at)
SELECT 'event ' || n, 'job ' || n, n, 'succeeded', 'webhook', 'x', 100, n, n, n, n FROM numbers";

const BACKLOG_POSTGRES: &str = "\
INSERT INTO pyannote_events (event_key, job_key, job_id, status, source, sha256, body_bytes, received_at, signed_at,
    queued_at, due_at, body)
SELECT CAST('event ' || n AS BYTEA), CAST('job ' || n AS BYTEA), CAST(n AS TEXT), 'succeeded', 'webhook', 'x', 100,
    n, n, n, n, 'x' FROM generate_series(1, 100000) AS numbers (n) ORDER BY numbers.n";
