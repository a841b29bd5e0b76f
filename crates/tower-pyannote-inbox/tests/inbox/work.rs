//! How committed events are handled.

use std::{
    future::pending,
    io::{BufRead, BufReader},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use tokio::sync::{Notify, oneshot};
use tower_pyannote::{
    Diarization, HandlerError, HandlerRegistry, TypedEvent, WebhookEvent, event::Delivery,
};
use tower_pyannote_inbox::{ConfigError, Inbox};

use crate::place::{
    Log, Place, commit, counting, entry, event, hasty, on_each_store, spawn, state, stoppable,
    until, until_handled, until_state, waiting,
};

on_each_store! {
    a_handler_gets_the_event_as_it_was_received,
    a_handler_that_fails_twice_succeeds_at_its_third_attempt,
    a_retry_delay_replaces_the_backoff_and_the_longest_one_counts,
    a_handler_that_always_fails_leaves_a_dead_event_with_its_reason,
    a_handler_that_panics_is_retried,
    a_handler_that_hangs_is_timed_out_and_retried_while_other_events_are_handled,
    a_permanent_error_is_not_retried,
    only_the_handler_that_failed_is_retried,
    an_event_is_dead_if_one_handler_failed_permanently_and_another_succeeded_later,
    events_of_one_job_are_handled_one_at_a_time_by_two_workers,
    concurrency_limits_the_events_handled_at_the_same_time,
    large_events_run_one_at_a_time_while_small_ones_run_beside_them,
    events_of_a_dead_worker_are_taken_over_after_its_lease,
    events_of_a_killed_process_are_taken_over_after_its_lease,
    an_event_that_kills_its_workers_becomes_dead,
    a_stopped_worker_finishes_running_events,
    a_stopped_worker_releases_events_that_exceed_the_drain_timeout,
    a_handler_that_succeeded_does_not_run_again_after_the_next_was_aborted,
    ten_workers_handle_a_hundred_events_once_each,
}

/// Counts the events that are being handled at the same time.
#[derive(Clone, Default)]
struct Crowd {
    running: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
}

impl Crowd {
    /// A handler that takes some time.
    fn registry(&self, time: Duration) -> HandlerRegistry {
        let crowd = self.clone();
        HandlerRegistry::new()
            .on_any("watch", move |_: WebhookEvent| {
                let crowd = crowd.clone();
                async move {
                    let now = crowd.running.fetch_add(1, Ordering::SeqCst) + 1;
                    crowd.most.fetch_max(now, Ordering::SeqCst);
                    tokio::time::sleep(time).await;
                    crowd.running.fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                }
            })
            .unwrap()
    }

    fn most(&self) -> u32 {
        self.most.load(Ordering::SeqCst)
    }
}

async fn a_handler_gets_the_event_as_it_was_received(place: Place) {
    let inbox = place.open().await;
    let (sender, received) = oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let registry = HandlerRegistry::new()
        .on_diarization("keep", move |event: TypedEvent<Diarization>| {
            let sent = sender
                .lock()
                .unwrap()
                .take()
                .unwrap()
                .send(event.into_event());
            async { sent.map_err(|_| HandlerError::permanent("nobody waits")) }
        })
        .unwrap();
    let body = r#"{"jobId":"job","status":"succeeded","output":{"diarization":[{"speaker":"SPEAKER_00","start":0.5,"end":2.0}]}}"#;
    // Older than the layer accepts, because a worker does not check freshness again.
    let delivery =
        Delivery::at(UNIX_EPOCH + Duration::new(1_500_000_000, 17)).with_timestamp(1_499_999_999);
    let event = WebhookEvent::new(body.into(), delivery.clone()).unwrap();
    inbox.commit(&event).await.unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    let met = received.await.unwrap();
    assert_eq!(met.raw(), body.as_bytes());
    assert_eq!(met.delivery(), &delivery);
    until_state(&inbox, "job", "handled").await;
}

async fn a_handler_that_fails_twice_succeeds_at_its_third_attempt(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("flaky", move |event: WebhookEvent| {
            seen.add(event.attempt().to_string());
            async move {
                match event.attempt() {
                    1 | 2 => Err("not yet".into()),
                    _ => Ok(()),
                }
            }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["1", "2", "3"]);
    let entry = entry(&inbox, "job").await;
    assert_eq!((entry.attempts, entry.last_error), (2, None));
}

async fn a_retry_delay_replaces_the_backoff_and_the_longest_one_counts(place: Place) {
    let inbox = place.open().await;
    let week = Duration::from_secs(7 * 24 * 3_600);
    let log = Log::default();
    let failing = |delay: Option<u64>| {
        let log = log.clone();
        move |event: WebhookEvent| {
            log.add(event.attempt().to_string());
            let delay = delay.map(Duration::from_secs);
            async move {
                let error = HandlerError::new("busy");
                match (event.attempt(), delay) {
                    (1, Some(delay)) => Err(error.retry_after(delay)),
                    (1, None) => Err(error),
                    _ => Ok(()),
                }
            }
        }
    };
    let registry = HandlerRegistry::new()
        .on_any("late", failing(Some(4)))
        .unwrap()
        .on_any("soon", failing(Some(0)))
        .unwrap()
        .on_any("any time", failing(None))
        .unwrap();
    let worker = hasty(&inbox, registry).with_backoff(week, week).unwrap();
    let _worker = spawn(worker);
    commit(&inbox, "job").await;
    until("failed", async || log.lines().len() == 3).await;
    let failed = Instant::now();
    until_state(&inbox, "job", "handled").await;
    // The store cuts the due time to whole seconds.
    assert!(failed.elapsed() > Duration::from_secs(2));
    assert_eq!(log.lines(), ["1", "1", "1", "2", "2", "2"]);
}

async fn a_handler_that_always_fails_leaves_a_dead_event_with_its_reason(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("broken", move |event: WebhookEvent| {
            seen.add(event.attempt().to_string());
            async { Err(std::io::Error::other("no such room").into()) }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry).with_max_attempts(3).unwrap());
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "dead").await;
    assert_eq!(log.lines(), ["1", "2", "3"]);
    let entry = entry(&inbox, "job").await;
    assert_eq!(entry.attempts, 3);
    assert_eq!(entry.last_error.as_deref(), Some("broken: no such room"));
    assert!(entry.finished_at.is_some());
    assert_eq!(inbox.stats().await.unwrap().dead, 1);
}

async fn a_handler_that_panics_is_retried(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("shaky", move |event: WebhookEvent| {
            seen.add(event.attempt().to_string());
            async move {
                assert!(event.attempt() > 1, "it fell over");
                Ok(())
            }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["1", "2"]);
}

async fn a_handler_that_hangs_is_timed_out_and_retried_while_other_events_are_handled(
    place: Place,
) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("slow", move |event: WebhookEvent| {
            seen.add(format!("{} {}", event.job_id(), event.attempt()));
            async move {
                if event.job_id() == "stuck" && event.attempt() == 1 {
                    pending::<()>().await;
                }
                Ok(())
            }
        })
        .unwrap()
        .with_handler_timeout(Duration::from_millis(1_500))
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "stuck").await;
    until("begun", async || log.lines() == ["stuck 1"]).await;
    commit(&inbox, "other").await;
    until_state(&inbox, "other", "handled").await;
    until_state(&inbox, "stuck", "handled").await;
    assert_eq!(log.lines(), ["stuck 1", "other 1", "stuck 2"]);
}

async fn a_permanent_error_is_not_retried(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let seen = log.clone();
    let registry = HandlerRegistry::new()
        .on_any("strict", move |event: WebhookEvent| {
            seen.add(event.attempt().to_string());
            async { Err(HandlerError::permanent("no such customer")) }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "dead").await;
    let entry = entry(&inbox, "job").await;
    assert_eq!(
        entry.last_error.as_deref(),
        Some("strict: no such customer")
    );
    // A retry would run before the next event, because it is due first.
    commit(&inbox, "next").await;
    until_state(&inbox, "next", "dead").await;
    assert_eq!(log.lines(), ["1", "1"]);
}

async fn only_the_handler_that_failed_is_retried(place: Place) {
    let inbox = place.open().await;
    let log = Log::default();
    let mut registry = HandlerRegistry::new();
    for name in ["first", "second", "third"] {
        let log = log.clone();
        registry = registry
            .on_any(name, move |event: WebhookEvent| {
                log.add(format!("{name} {}", event.attempt()));
                async move {
                    match (name, event.attempt()) {
                        ("second", 1 | 2) => Err("not yet".into()),
                        _ => Ok(()),
                    }
                }
            })
            .unwrap();
    }
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "handled").await;
    assert_eq!(
        log.lines(),
        ["first 1", "second 1", "third 1", "second 2", "second 3"]
    );
}

async fn an_event_is_dead_if_one_handler_failed_permanently_and_another_succeeded_later(
    place: Place,
) {
    let inbox = place.open().await;
    let log = Log::default();
    let [one, two] = [log.clone(), log.clone()];
    let registry = HandlerRegistry::new()
        .on_any("gives up", move |_: WebhookEvent| {
            one.add("gives up");
            async { Err(HandlerError::permanent("hopeless")) }
        })
        .unwrap()
        .on_any("comes through", move |event: WebhookEvent| {
            two.add("comes through");
            async move {
                match event.attempt() {
                    1 => Err("not yet".into()),
                    _ => Ok(()),
                }
            }
        })
        .unwrap();
    let _worker = spawn(hasty(&inbox, registry));
    commit(&inbox, "job").await;
    until_state(&inbox, "job", "dead").await;
    assert_eq!(log.lines(), ["gives up", "comes through", "comes through"]);
    let entry = entry(&inbox, "job").await;
    assert_eq!(entry.last_error.as_deref(), Some("gives up: hopeless"));
}

async fn events_of_one_job_are_handled_one_at_a_time_by_two_workers(place: Place) {
    let inboxes = [place.open().await, place.open().await];
    let crowd = Crowd::default();
    let workers: Vec<_> = inboxes
        .iter()
        .map(|inbox| spawn(hasty(inbox, crowd.registry(Duration::from_millis(300)))))
        .collect();
    for status in ["succeeded", "failed", "canceled", "paused"] {
        inboxes[0].commit(&event("job", status, "")).await.unwrap();
    }
    until_handled(&inboxes[0], 4).await;
    assert_eq!(crowd.most(), 1);
    // Waiting for another event of the job counts no attempt.
    for entry in inboxes[0].list(&Default::default()).await.unwrap() {
        assert_eq!(entry.attempts, 0);
    }
    drop(workers);
}

async fn concurrency_limits_the_events_handled_at_the_same_time(place: Place) {
    let inbox = place.open().await;
    let crowd = Crowd::default();
    let registry = crowd.registry(Duration::from_millis(100));
    let _worker = spawn(hasty(&inbox, registry).with_concurrency(3).unwrap());
    for number in 0..12 {
        commit(&inbox, &format!("job-{number}")).await;
    }
    until_handled(&inbox, 12).await;
    assert_eq!(crowd.most(), 3);
}

async fn large_events_run_one_at_a_time_while_small_ones_run_beside_them(place: Place) {
    let inbox = place.open().await;
    let (log, go_on) = (Log::default(), Arc::new(Notify::new()));
    let (seen, wait) = (log.clone(), Arc::clone(&go_on));
    let registry = HandlerRegistry::new()
        .on_any("wait", move |event: WebhookEvent| {
            seen.add(event.job_id());
            let wait = Arc::clone(&wait);
            async move {
                if event.job_id().starts_with("large") {
                    wait.notified().await;
                }
                Ok(())
            }
        })
        .unwrap();
    commit(&inbox, "large-1").await;
    commit(&inbox, "large-2").await;
    // Each counts as more than half of the worker's memory limit.
    place
        .execute("UPDATE pyannote_events SET body_bytes = 70000000")
        .await;
    commit(&inbox, "small").await;
    let _worker = spawn(hasty(&inbox, registry).with_concurrency(3).unwrap());
    until_state(&inbox, "small", "handled").await;
    until("large", async || log.lines().len() > 1).await;
    assert_eq!(log.lines().len(), 2, "{:?}", log.lines());
    go_on.notify_one();
    until("the other large one", async || log.lines().len() == 3).await;
    go_on.notify_one();
    until_handled(&inbox, 3).await;
}

async fn events_of_a_dead_worker_are_taken_over_after_its_lease(place: Place) {
    let (one, two) = (place.open().await, place.open().await);
    let (registry, begun, _never) = waiting();
    let dying = spawn(hasty(&one, registry));
    commit(&one, "job").await;
    begun.notified().await;
    dying.abort();

    let log = Log::default();
    let _worker = spawn(hasty(&two, counting(&log, "count")));
    until_state(&two, "job", "handled").await;
    // The attempt of the dead worker counts.
    assert_eq!(log.lines(), ["job 2"]);
}

async fn events_of_a_killed_process_are_taken_over_after_its_lease(place: Place) {
    let inbox = place.open().await;
    commit(&inbox, "job").await;
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "work::worker_to_be_killed",
            "--nocapture",
        ])
        .env(ADDRESS, place.address())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let begun = lines
        .map(Result::unwrap)
        .any(|line| line.ends_with("in the middle of it"));
    assert!(begun);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(state(&inbox, "job").await, "running");

    let log = Log::default();
    let _worker = spawn(hasty(&inbox, counting(&log, "hang")));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["job 2"]);
}

#[tokio::test]
#[ignore = "is run by another test, as a process to be killed"]
async fn worker_to_be_killed() {
    let address = std::env::var(ADDRESS).unwrap();
    let inbox = Inbox::open(&address).await.unwrap();
    let registry = HandlerRegistry::new()
        .on_any("hang", async |_: WebhookEvent| {
            println!("in the middle of it");
            pending().await
        })
        .unwrap()
        .with_handler_timeout(Duration::from_secs(600))
        .unwrap();
    hasty(&inbox, registry).run_until(pending()).await.unwrap();
}

const ADDRESS: &str = "ADDRESS_OF_THE_INBOX";

async fn an_event_that_kills_its_workers_becomes_dead(place: Place) {
    let inbox = place.open().await;
    commit(&inbox, "job").await;
    for _ in 0..2 {
        let begun = Arc::new(Notify::new());
        let tell = Arc::clone(&begun);
        let registry = HandlerRegistry::new()
            .on_any("deadly", move |_: WebhookEvent| {
                tell.notify_one();
                async { pending().await }
            })
            .unwrap();
        let dying = spawn(hasty(&inbox, registry).with_max_attempts(2).unwrap());
        begun.notified().await;
        dying.abort();
    }
    let log = Log::default();
    let _worker = spawn(
        hasty(&inbox, counting(&log, "deadly"))
            .with_max_attempts(2)
            .unwrap(),
    );
    until_state(&inbox, "job", "dead").await;
    assert_eq!(log.lines(), Vec::<String>::new());
    let entry = entry(&inbox, "job").await;
    assert_eq!(
        entry.last_error.as_deref(),
        Some("retries exhausted, and the last attempt did not end")
    );
    assert_eq!(entry.attempts, 2);
}

async fn a_stopped_worker_finishes_running_events(place: Place) {
    let inbox = place.open().await;
    let (registry, begun, go_on) = waiting();
    let worker = hasty(&inbox, registry).with_concurrency(1).unwrap();
    let (stop, worker) = stoppable(worker);
    for job_id in ["runs", "waits"] {
        commit(&inbox, job_id).await;
    }
    begun.notified().await;
    stop.send(()).unwrap();
    go_on.notify_one();
    worker.await.unwrap().unwrap();
    let mut states = [state(&inbox, "runs").await, state(&inbox, "waits").await];
    states.sort();
    assert_eq!(states, ["handled", "waiting"]);
}

async fn a_stopped_worker_releases_events_that_exceed_the_drain_timeout(place: Place) {
    let inbox = place.open().await;
    let (registry, begun, _never) = waiting();
    let worker = hasty(&inbox, registry).with_drain_timeout(Duration::from_millis(100));
    let (stop, worker) = stoppable(worker);
    commit(&inbox, "job").await;
    begun.notified().await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(state(&inbox, "job").await, "waiting");

    // Another worker claims the event at once, and no attempt was counted.
    let log = Log::default();
    let worker = inbox
        .worker(counting(&log, "hang"))
        .with_lease(Duration::from_secs(3_600));
    let _worker = spawn(worker.unwrap());
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["job 1"]);
}

async fn a_handler_that_succeeded_does_not_run_again_after_the_next_was_aborted(place: Place) {
    let inbox = place.open().await;
    let (log, begun) = (Log::default(), Arc::new(Notify::new()));
    let registry = |hangs: bool| {
        let (first, second, tell) = (log.clone(), log.clone(), Arc::clone(&begun));
        HandlerRegistry::new()
            .on_any("mail", move |_: WebhookEvent| {
                first.add("mail");
                async { Ok(()) }
            })
            .unwrap()
            .on_any("slow", move |_: WebhookEvent| {
                second.add("slow");
                tell.notify_one();
                async move {
                    match hangs {
                        true => pending().await,
                        false => Ok(()),
                    }
                }
            })
            .unwrap()
    };
    commit(&inbox, "job").await;
    let worker = hasty(&inbox, registry(true)).with_drain_timeout(Duration::ZERO);
    let (stop, worker) = stoppable(worker);
    begun.notified().await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let _worker = spawn(hasty(&inbox, registry(false)));
    until_state(&inbox, "job", "handled").await;
    assert_eq!(log.lines(), ["mail", "slow", "slow"]);
}

async fn ten_workers_handle_a_hundred_events_once_each(place: Place) {
    let log = Log::default();
    let mut inboxes = Vec::new();
    for _ in 0..5 {
        inboxes.push(place.open().await);
    }
    let workers: Vec<_> = inboxes
        .iter()
        .chain(&inboxes)
        .map(|inbox| spawn(hasty(inbox, counting(&log, "count"))))
        .collect();
    for number in 0..100 {
        let inbox = &inboxes[number % 5];
        commit(inbox, &format!("{number:03}")).await;
    }
    until_handled(&inboxes[0], 100).await;
    let mut lines = log.lines();
    lines.sort();
    let expected: Vec<_> = (0..100).map(|number| format!("{number:03} 1")).collect();
    assert_eq!(lines, expected);
    drop(workers);
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_refused_by_name() {
    let place = Place::sqlite().unwrap();
    let inbox = place.open().await;
    let worker = || inbox.worker(HandlerRegistry::new());
    let seconds = Duration::from_secs;
    let refused = [
        ("concurrency", worker().with_concurrency(0).unwrap_err()),
        (
            "concurrency",
            worker().with_concurrency(10_001).unwrap_err(),
        ),
        ("memory", worker().with_memory((1 << 20) - 1).unwrap_err()),
        ("memory", worker().with_memory((1 << 30) + 1).unwrap_err()),
        ("max_attempts", worker().with_max_attempts(0).unwrap_err()),
        (
            "backoff",
            worker().with_backoff(seconds(2), seconds(1)).unwrap_err(),
        ),
        (
            "backoff",
            worker()
                .with_backoff(seconds(2), Duration::MAX)
                .unwrap_err(),
        ),
        ("lease", worker().with_lease(seconds(2)).unwrap_err()),
        ("lease", worker().with_lease(seconds(3_601)).unwrap_err()),
        (
            "retention",
            worker()
                .with_retention(seconds(3_600) - Duration::from_nanos(1))
                .unwrap_err(),
        ),
    ];
    for (name, error) in refused {
        let ConfigError::Worker { setting, .. } = &error else {
            panic!("{name}: {error:?}");
        };
        assert_eq!(*setting, name);
        assert!(
            error.to_string().starts_with(&format!("{name} has to be ")),
            "{error}"
        );
    }
    let accepted = [
        worker().with_concurrency(1),
        worker().with_concurrency(10_000),
        worker().with_memory(1 << 20),
        worker().with_memory(1 << 30),
        worker().with_max_attempts(1),
        worker().with_backoff(seconds(0), seconds(0)),
        worker().with_backoff(seconds(1), seconds(7 * 24 * 3_600)),
        worker().with_lease(seconds(3)),
        worker().with_lease(seconds(3_600)),
        worker().with_retention(seconds(3_600)),
    ];
    assert!(accepted.iter().all(Result::is_ok), "{accepted:?}");
}
