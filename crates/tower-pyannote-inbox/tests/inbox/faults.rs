//! Faults of the database, of connections, and of code that the inbox calls.

use std::{
    collections::HashSet,
    future::pending,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use bytes::Bytes;
use sqlx::{Connection, Row, SqliteConnection};
use tempfile::TempDir;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
    sync::{Notify, watch},
    task::JoinSet,
};
use tower_pyannote::{HandlerRegistry, WebhookEvent, event::Delivery};
use tower_pyannote_inbox::{Commit, Inbox, InboxErrorKind, StoreFault, StoreFaults};
use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, layer::SubscriberExt};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, on_each_store, spawn, state, stoppable,
    until, until_handled, until_state, waiting,
};

on_each_store! {
    a_worker_continues_once_a_hanging_database_answers_again,
    a_redelivery_after_a_lost_answer_is_a_duplicate,
    a_worker_whose_answers_are_lost_handles_each_event_once,
    a_claim_whose_answer_is_lost_is_released_even_if_the_first_release_fails,
    a_stale_attempt_does_not_release_the_next_attempt_of_its_event,
    bodies_of_timed_out_deliveries_do_not_accumulate,
    an_event_is_not_released_while_its_aborted_handler_still_runs,
    an_event_whose_handler_cannot_be_aborted_stays_claimed_until_its_lease_expires,
    check_fails_after_a_commit_that_failed_until_one_succeeds,
    check_fails_while_claims_fail,
    check_fails_while_results_cannot_be_noted,
    check_fails_after_a_count_that_failed_until_one_succeeds,
}

async fn check_fails_after_a_commit_that_failed_until_one_succeeds(place: Place) {
    let inbox = place.open().await;
    let event = event("job", "succeeded", "");
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN sha256 TO gone")
        .await;
    inbox.commit(&event).await.unwrap_err();
    assert_eq!(why_unhealthy(&inbox).await, "the last commit failed");
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN gone TO sha256")
        .await;
    inbox.commit(&event).await.unwrap();
    inbox.check().await.unwrap();
}

async fn check_fails_while_claims_fail(place: Place) {
    let inbox = place.open().await;
    let _worker = spawn(hasty(&inbox, HandlerRegistry::new()));
    place
        .execute("ALTER TABLE pyannote_submissions RENAME COLUMN kind TO gone")
        .await;
    commit(&inbox, "job").await;
    until("unhealthy", async || inbox.check().await.is_err()).await;
    assert_eq!(why_unhealthy(&inbox).await, "the last claim failed");
    place
        .execute("ALTER TABLE pyannote_submissions RENAME COLUMN gone TO kind")
        .await;
    until_handled(&inbox, 1).await;
    inbox.check().await.unwrap();
}

async fn check_fails_while_results_cannot_be_noted(place: Place) {
    let inbox = place.open().await;
    let _worker = spawn(hasty(&inbox, HandlerRegistry::new()));
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN last_error TO gone")
        .await;
    commit(&inbox, "job").await;
    until("unhealthy", async || inbox.check().await.is_err()).await;
    assert_eq!(why_unhealthy(&inbox).await, "the last result failed");
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN gone TO last_error")
        .await;
    until_handled(&inbox, 1).await;
    until("healthy", async || inbox.check().await.is_ok()).await;
}

async fn check_fails_after_a_count_that_failed_until_one_succeeds(place: Place) {
    let inbox = place.open().await;
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN finished_at TO gone")
        .await;
    inbox.stats().await.unwrap_err();
    assert_eq!(why_unhealthy(&inbox).await, "the last count failed");
    place
        .execute("ALTER TABLE pyannote_events RENAME COLUMN gone TO finished_at")
        .await;
    inbox.stats().await.unwrap();
    inbox.check().await.unwrap();
}

async fn why_unhealthy(inbox: &Inbox) -> String {
    let error = inbox.check().await.unwrap_err();
    assert_eq!(error.kind(), InboxErrorKind::Store);
    std::error::Error::source(&error).unwrap().to_string()
}

async fn a_worker_continues_once_a_hanging_database_answers_again(place: Place) {
    let (inbox, faults) = StoreFaults::under(&place.open().await);
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "count")));
    commit(&inbox, "before").await;
    until_handled(&inbox, 1).await;
    faults.begin(StoreFault::Hangs);
    // The claim and the renewal of the lease.
    until("asked twice", async || faults.met() >= 2).await;
    faults.end();
    commit(&inbox, "after").await;
    until_handled(&inbox, 2).await;
    assert_eq!(log.lines(), ["before 1", "after 1"]);
}

async fn a_redelivery_after_a_lost_answer_is_a_duplicate(place: Place) {
    let (inbox, faults) = StoreFaults::under(&place.open().await);
    let event = event("job", "succeeded", "");
    faults.begin(StoreFault::LosesAnswers);
    let lost = inbox.commit(&event).await.unwrap_err();
    assert_eq!(lost.kind(), InboxErrorKind::Store);
    faults.end();
    assert_eq!(inbox.commit(&event).await.unwrap(), Commit::Duplicate);
    assert_eq!(state(&inbox, "job").await, "waiting");
}

async fn a_worker_whose_answers_are_lost_handles_each_event_once(place: Place) {
    let inbox = place.open().await;
    let (faulty, faults) = StoreFaults::under(&inbox);
    let log = Log::default();
    faults.begin(StoreFault::LosesAnswers);
    let _worker = spawn(hasty(&faulty, counting(&log, "count")));
    for job_id in ["a", "b", "c"] {
        commit(&inbox, job_id).await;
    }
    until("lost", async || faults.met() >= 6).await;
    faults.end();
    until_handled(&inbox, 3).await;
    let mut lines = log.lines();
    lines.sort();
    assert_eq!(lines, ["a 1", "b 1", "c 1"]);
}

async fn a_claim_whose_answer_is_lost_is_released_even_if_the_first_release_fails(place: Place) {
    let inbox = place.open().await;
    let (faulty, faults) = StoreFaults::under(&inbox);
    let log = Log::default();
    let _worker = spawn(hasty(&faulty, counting(&log, "count")));
    commit(&inbox, "before").await;
    until_handled(&inbox, 1).await;
    faults.begin(StoreFault::LosesAnswers);
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "running").await;
    faults.begin(StoreFault::Fails);
    let met = faults.met();
    until("handing back fails", async || faults.met() >= met + 3).await;
    faults.end();
    until_handled(&inbox, 2).await;
    assert_eq!(log.lines(), ["before 1", "job 1"]);
}

async fn a_stale_attempt_does_not_release_the_next_attempt_of_its_event(place: Place) {
    let inbox = place.open().await;
    let (faulty, faults) = StoreFaults::under(&inbox);
    let (log, begun, go_on) = (
        Log::default(),
        Arc::new(Notify::new()),
        Arc::new(Notify::new()),
    );
    let (seen, tell, wait) = (log.clone(), Arc::clone(&begun), Arc::clone(&go_on));
    let registry = HandlerRegistry::new()
        .on_any("fails first", move |event: WebhookEvent| {
            seen.add(format!("{} {}", event.job_id(), event.attempt()));
            let (tell, wait) = (Arc::clone(&tell), Arc::clone(&wait));
            async move {
                if event.job_id() == "other" {
                    return Ok(());
                }
                tell.notify_one();
                wait.notified().await;
                match event.attempt() {
                    1 => Err("not yet".into()),
                    _ => Ok(()),
                }
            }
        })
        .unwrap();
    let _worker = spawn(hasty(&faulty, registry));
    commit(&inbox, "job").await;
    begun.notified().await;
    // The end of the first attempt is committed, but its answer is lost. The attempt writes again a second later. Meanwhile the
    // same worker begins the second attempt.
    faults.begin(StoreFault::LosesAnswers);
    go_on.notify_one();
    until("the attempt ended", async || {
        entry(&inbox, "job").await.attempts == 1
    })
    .await;
    faults.end();
    begun.notified().await;
    // By then the first attempt has its answer.
    faults.begin(StoreFault::Fails);
    let met = faults.met();
    until("claims fail", async || faults.met() >= met + 3).await;
    faults.end();
    commit(&inbox, "other").await;
    until_state(&inbox, "other", "handled").await;
    go_on.notify_one();
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["job 1", "job 2", "other 1"]);
}

async fn bodies_of_timed_out_deliveries_do_not_accumulate(place: Place) {
    const BODIES: usize = 40;

    let (inbox, faults) = StoreFaults::under(&place.open().await);
    let kept = Arc::new(AtomicUsize::new(0));
    faults.begin(StoreFault::Hangs);
    let mut deliveries = JoinSet::new();
    for number in 0..BODIES {
        let mut body = format!(r#"{{"jobId":"{number}","status":"succeeded"}}"#).into_bytes();
        body.resize(4 << 20, b' ');
        kept.fetch_add(1, Ordering::SeqCst);
        let body = Bytes::from_owner(Counted {
            body,
            kept: Arc::clone(&kept),
        });
        let inbox = inbox.clone();
        deliveries.spawn(async move {
            let event = WebhookEvent::new(body, Delivery::at(std::time::UNIX_EPOCH)).unwrap();
            inbox.commit(&event).await.unwrap_err().kind()
        });
    }
    while let Some(kind) = deliveries.join_next().await {
        assert_eq!(kind.unwrap(), InboxErrorKind::Timeout);
    }
    // 64 MiB of them may be waiting or in a commit.
    let left = kept.load(Ordering::SeqCst);
    assert!(left <= 16, "{left} of {BODIES}");
    faults.end();
    commit(&inbox, "after").await;
    until("none is kept", async || kept.load(Ordering::SeqCst) == 0).await;
    // None of the deliveries that got an error was committed.
    assert_eq!(inbox.stats().await.unwrap().waiting, 1);
}

/// A body that counts down when it is dropped.
struct Counted {
    body: Vec<u8>,
    kept: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.kept.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn an_event_is_not_released_while_its_aborted_handler_still_runs(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let (blocked, begun, go_on) = blocking(&log);
    let worker = hasty(&inbox, blocked).with_drain_timeout(Duration::ZERO);
    let (stop, worker) = stoppable(worker);
    commit(&inbox, "job").await;
    begun.notified().await;

    let second = place.open().await;
    let met = Arc::new(Notify::new());
    let (seen, tell) = (log.clone(), Arc::clone(&met));
    let registry = HandlerRegistry::new()
        .on_any("block", move |_: WebhookEvent| {
            seen.add("second begins");
            tell.notify_one();
            async { Ok(()) }
        })
        .unwrap();
    let _second = spawn(hasty(&second, registry));
    stop.send(()).unwrap();
    // If the event was released now, the second worker would begin within about a second.
    let early = tokio::time::timeout(Duration::from_secs(3), met.notified()).await;
    assert!(early.is_err(), "{:?}", log.lines());
    go_on.send(()).unwrap();
    worker.await.unwrap().unwrap();
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["first begins", "first ends", "second begins"]);
}

async fn an_event_whose_handler_cannot_be_aborted_stays_claimed_until_its_lease_expires(
    place: Place,
) {
    let inbox = place.open().await;
    let log = Log::default();
    let (blocked, begun, go_on) = blocking(&log);
    let worker = hasty(&inbox, blocked).with_drain_timeout(Duration::ZERO);
    let (stop, worker) = stoppable(worker);
    commit(&inbox, "job").await;
    begun.notified().await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(state(&inbox, "job").await, "running");
    assert_eq!(log.lines(), ["first begins"]);
    go_on.send(()).unwrap();
}

/// Returns a handler that blocks its thread, a signal that it has begun, and a sender that lets it continue.
fn blocking(log: &Log) -> (HandlerRegistry, Arc<Notify>, mpsc::Sender<()>) {
    let (go_on, wait) = mpsc::channel::<()>();
    let (begun, wait) = (Arc::new(Notify::new()), Mutex::new(wait));
    let (seen, tell) = (log.clone(), Arc::clone(&begun));
    let registry = HandlerRegistry::new()
        .on_any("block", move |_: WebhookEvent| {
            seen.add("first begins");
            tell.notify_one();
            let _ = wait.lock().unwrap().recv_timeout(Duration::from_secs(60));
            seen.add("first ends");
            async { pending().await }
        })
        .unwrap();
    (registry, begun, go_on)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_stopped_during_a_claim_does_not_block_writers() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let (registry, begun, go_on) = waiting();
    let worker = inbox
        .worker(registry)
        .with_drain_timeout(Duration::from_secs(60));
    let (stop, worker) = stoppable(worker);
    commit(&inbox, "runs").await;
    begun.notified().await;

    // The worker claims once a second, and each claim now waits for the lock.
    let mut other = SqliteConnection::connect(place.address()).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();

    commit(&inbox, "comes meanwhile").await;
    go_on.notify_one();
    worker.await.unwrap().unwrap();
    assert_eq!(state(&inbox, "runs").await, "handled");
    assert_eq!(state(&inbox, "comes meanwhile").await, "waiting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_events_become_dead_and_do_not_block_other_events() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    // As many as the worker's concurrency.
    for number in 0..4 {
        commit(&inbox, &format!("damaged {number}")).await;
    }
    let mut other = SqliteConnection::connect(place.address()).await.unwrap();
    sqlx::raw_sql("UPDATE pyannote_events SET signed_at = 'x'")
        .execute(&mut other)
        .await
        .unwrap();
    commit(&inbox, "sound").await;
    let log = Log::default();
    let worker = inbox.worker(counting(&log, "count"));
    let _worker = spawn(worker.with_max_attempts(1).unwrap());
    until("the end of all", async || {
        let stats = inbox.stats().await.unwrap();
        stats.waiting + stats.running == 0
    })
    .await;
    let stats = inbox.stats().await.unwrap();
    assert_eq!((stats.handled, stats.dead), (1, 4));
    assert_eq!(log.lines(), ["sound 1"]);
    let why = sqlx::query("SELECT DISTINCT last_error FROM pyannote_events WHERE signed_at = 'x'")
        .fetch_all(&mut other)
        .await
        .unwrap();
    assert_eq!(why.len(), 1);
    let why: String = why[0].get(0);
    assert!(why.starts_with("the event could not be read: "), "{why}");
}

#[tokio::test]
async fn postgresql_does_not_compress_bodies_while_a_delivery_waits() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let _inbox = place.open().await;
    let mut other = sqlx::PgConnection::connect(place.address()).await.unwrap();
    let storage = "SELECT attstorage::text FROM pg_attribute WHERE attname = 'body' AND attrelid IN \
        ('tower_pyannote.pyannote_events'::regclass, 'tower_pyannote.pyannote_conflicts'::regclass)";
    let rows = sqlx::query(storage).fetch_all(&mut other).await.unwrap();
    let external: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(external, ["e", "e"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_can_open_a_new_file_at_the_same_time() {
    for _ in 0..20 {
        let place = Arc::new(Place::sqlite().unwrap());
        let mut opened = JoinSet::new();
        for _ in 0..4 {
            let place = Arc::clone(&place);
            opened.spawn(async move { Inbox::open(place.address()).await.map(drop) });
        }
        while let Some(opened) = opened.join_next().await {
            opened.unwrap().unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_name_was_removed_gives_it_again_on_sqlite() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let other = SqliteConnection::connect(place.address()).await.unwrap();
    gives_its_name_again(&inbox, async || {
        let mut other = other;
        let remove = "DELETE FROM pyannote_leases WHERE name NOT IN (SELECT worker FROM pyannote_events WHERE worker IS NOT NULL)";
        let removed = sqlx::raw_sql(remove).execute(&mut other).await.unwrap();
        removed.rows_affected()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_name_was_removed_gives_it_again_on_postgresql() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let inbox = place.open().await;
    let other = sqlx::PgConnection::connect(place.address()).await.unwrap();
    gives_its_name_again(&inbox, async || {
        let mut other = other;
        let remove = "DELETE FROM tower_pyannote.pyannote_leases WHERE name NOT IN \
            (SELECT worker FROM tower_pyannote.pyannote_events WHERE worker IS NOT NULL)";
        let removed = sqlx::raw_sql(remove).execute(&mut other).await.unwrap();
        removed.rows_affected()
    })
    .await;
}

async fn gives_its_name_again(inbox: &Inbox, remove: impl AsyncFnOnce() -> u64) {
    let log = Log::default();
    let _worker = spawn(hasty(inbox, counting(&log, "count")));
    commit(inbox, "before").await;
    until_handled(inbox, 1).await;
    assert_eq!(remove().await, 1);
    commit(inbox, "after").await;
    until_handled(inbox, 2).await;
    assert_eq!(log.lines(), ["before 1", "after 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_connections_are_replaced() {
    let Some(place) = Place::postgres() else {
        return;
    };
    let wire = Wire::to(place.socket()).await;
    let inbox = Inbox::open(&place.address_at(wire.directory()))
        .await
        .unwrap();
    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "count")));
    let mut senders = JoinSet::new();
    for number in 0..50 {
        let inbox = inbox.clone();
        senders.spawn(async move { commit(&inbox, &format!("before {number}")).await });
    }
    senders.join_all().await;
    until_handled(&inbox, 50).await;

    // More calls than connections, so that every connection waits for an answer when it dies.
    let mut other = sqlx::PgConnection::connect(place.address()).await.unwrap();
    let lock = "BEGIN; LOCK TABLE tower_pyannote.pyannote_events IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.unwrap();
    let mut load = JoinSet::new();
    for _ in 0..20 {
        let inbox = inbox.clone();
        load.spawn(async move { while inbox.stats().await.is_err() {} });
    }
    until("all ten wait", async || {
        let mut observer = sqlx::PgConnection::connect(place.address()).await.unwrap();
        let row = sqlx::query(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        row.fetch_one(&mut observer).await.unwrap().get::<i64, _>(0) >= 10
    })
    .await;
    wire.goes_dark();
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    let mut refused = 0;
    while inbox
        .commit(&event("after", "succeeded", ""))
        .await
        .is_err()
    {
        refused += 1;
        // Each error comes within 5 s, so ten are well within the six minutes in which pyannoteAI retries.
        assert!(refused < 10);
    }
    load.shutdown().await;
    until_handled(&inbox, 51).await;
    let lines = log.lines();
    let once: HashSet<_> = lines.iter().collect();
    assert_eq!((lines.len(), once.len()), (51, 51));
}

/// A proxy to PostgreSQL that can stop to forward bytes without closing the connections.
struct Wire {
    directory: TempDir,
    dark: watch::Sender<u32>,
}

impl Wire {
    async fn to(socket: std::path::PathBuf) -> Self {
        let directory = TempDir::new().unwrap();
        let listener = UnixListener::bind(directory.path().join(".s.PGSQL.5432")).unwrap();
        let (dark, times) = watch::channel(0);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = UnixStream::connect(&socket).await.unwrap();
                let mut times = times.clone();
                times.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = times.changed() => {
                            // Kept open on both sides.
                            pending::<()>().await;
                        }
                    }
                });
            }
        });
        Self { directory, dark }
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Stops all connections that are open. Later ones work.
    fn goes_dark(&self) {
        self.dark.send_modify(|times| *times += 1);
    }
}

#[tokio::test]
async fn a_panic_outside_of_any_handler_counts_as_an_attempt() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let subscriber = tracing_subscriber::registry().with(PanicsAtSpans);
    let _here = tracing::subscriber::set_default(subscriber);
    let log = Log::default();
    let worker = hasty(&inbox, counting(&log, "count"))
        .with_max_attempts(3)
        .unwrap();
    let _worker = spawn(worker);
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "dead").await;
    let entry = entry(&inbox, "job").await;
    assert_eq!(entry.attempts, 3);
    assert_eq!(
        entry.last_error.as_deref(),
        Some("the worker panicked, outside of any handler")
    );
    assert_eq!(log.lines(), [""; 0]);
}

#[tokio::test]
async fn a_recorder_of_logs_that_panics_at_each_error_stops_nothing() {
    let place = Place::sqlite().unwrap();
    let (inbox, faults) = StoreFaults::under(&place.open().await);
    let subscriber = tracing_subscriber::registry().with(PanicsAtErrors);
    let _here = tracing::subscriber::set_default(subscriber);
    let _worker = spawn(hasty(&inbox, HandlerRegistry::new()));
    faults.begin(StoreFault::Fails);
    inbox
        .commit(&event("job", "succeeded", ""))
        .await
        .unwrap_err();
    until("failed", async || faults.met() >= 5).await;
    faults.end();
    commit(&inbox, "job").await;
    until_handled(&inbox, 1).await;
}

/// A log layer that panics at each span of an event.
struct PanicsAtSpans;

impl<S: Subscriber> Layer<S> for PanicsAtSpans {
    fn on_new_span(&self, span: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        assert_ne!(span.metadata().name(), "pyannote_event");
    }
}

/// A log layer that panics at each error.
struct PanicsAtErrors;

impl<S: Subscriber> Layer<S> for PanicsAtErrors {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        assert_ne!(*event.metadata().level(), tracing::Level::ERROR);
    }
}
