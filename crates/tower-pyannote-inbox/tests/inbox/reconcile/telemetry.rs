//! Metrics and logs of a pass.

use std::{future, time::Duration};

use metrics_util::debugging::DebugValue;
use tokio::{sync::watch, time};
use tracing::Level;

use pyannote_simulator::Odds;

use tower_pyannote_test_support::observe::observe;

use crate::place::{Log, Place, hasty, spawn, until_handled};

use super::world::{HOUR, World, eager, noting};

fn count(log: &str, text: &str) -> usize {
    log.matches(text).count()
}

#[test]
fn a_pass_counts_the_outcomes_of_jobs() {
    let (metrics, log) = observe(Level::INFO, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::Percent(100.0)).await;
        for _ in 0..3 {
            world.diarize().await;
        }
        world.rest().await;
        world.reconciler().pass().await;
    });
    let value = |name: &str| format!("{:?}", metrics.get(&format!("pyannote_reconciler_{name}")));
    assert_eq!(value("jobs_total{outcome=new}"), "Some(Counter(3))");
    assert_eq!(value("passes_total{outcome=complete}"), "Some(Counter(1))");
    assert_eq!(value("missing_jobs{}"), "Some(Gauge(0.0))");
    assert_eq!(value("pending_jobs{}"), "Some(Gauge(0.0))");
    assert_eq!(value("urgent_jobs_total{}"), "None");
    assert_eq!(
        count(&log, "an event whose webhook did not come was fetched"),
        3
    );
    assert_eq!(count(&log, " WARN "), 0);
    assert_eq!(count(&log, "sk_example"), 0);
}

#[test]
fn a_job_is_warned_about_once_in_the_hour_before_its_deletion() {
    let (metrics, log) = observe(Level::INFO, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::Percent(100.0)).await;
        world.diarize().await;
        world.rest().await;
        let gone = World::start(&Place::sqlite().unwrap(), |config| config).await;
        let mut reconciler = eager(&gone.client, &world.inbox);
        for minutes in [22 * HOUR, 23 * HOUR + 1, 23 * HOUR + 30] {
            gone.clock.set(minutes);
            assert_eq!(reconciler.pass().await.failed, 1);
        }
    });
    assert_eq!(
        metrics["pyannote_reconciler_urgent_jobs_total{}"],
        DebugValue::Counter(1)
    );
    let warned = "a job's output may be deleted within the hour, and its event is not in the inbox";
    assert_eq!(count(&log, warned), 1);
    assert_eq!(
        count(
            &log,
            "a missing event could not be fetched; the next pass tries again"
        ),
        3
    );
}

#[test]
fn a_lost_job_is_logged_as_an_error_once() {
    let (metrics, log) = observe(Level::INFO, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::Percent(100.0)).await;
        world.diarize().await;
        world.rest().await;
        let gone = World::start(&Place::sqlite().unwrap(), |config| config).await;
        let mut reconciler = eager(&gone.client, &world.inbox);
        gone.clock.set(31 * HOUR);
        for _ in 0..2 {
            reconciler.pass().await;
        }
    });
    assert_eq!(
        metrics["pyannote_reconciler_jobs_total{outcome=lost}"],
        DebugValue::Counter(1)
    );
    assert_eq!(count(&log, "a job's event is lost"), 1);
    assert_eq!(count(&log, " ERROR "), 1);
}

#[test]
fn a_job_without_an_event_is_logged_when_its_submission_expires() {
    let (_, log) = observe(Level::INFO, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::First(2)).await;
        world.clock.set(-8 * 24 * HOUR);
        for _ in 0..3 {
            world.diarize().await;
        }
        world.rest().await;
        let log = Log::default();
        let _worker = spawn(hasty(&world.inbox, noting(&log)));
        until_handled(&world.inbox, 1).await;
        world.clock.set(0);
        for _ in 0..2 {
            world.inbox.prune(Duration::ZERO).await.unwrap();
        }
    });
    let told = "event lost: the job was submitted over a week ago, and its event never arrived";
    assert_eq!(count(&log, told), 2);
}

#[test]
fn two_reconcilers_of_one_inbox_fetch_no_job_twice() {
    let (metrics, _) = observe(Level::ERROR, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::Percent(100.0)).await;
        for _ in 0..12 {
            world.diarize().await;
        }
        world.rest().await;
        let log = Log::default();
        let _worker = spawn(hasty(&world.inbox, noting(&log)));
        let (stop, stopped) = watch::channel(());
        let reconcilers = [(); 2].map(|()| {
            let mut stopped = stopped.clone();
            let reconciler = world.reconciler().with_interval(Duration::from_millis(20));
            tokio::spawn(reconciler.unwrap().run_until(async move {
                let _ = stopped.changed().await;
            }))
        });
        until_handled(&world.inbox, 12).await;
        drop(stop);
        for reconciler in reconcilers {
            reconciler.await.unwrap();
        }
    });
    let jobs = |outcome| {
        metrics.get(&format!(
            "pyannote_reconciler_jobs_total{{outcome={outcome}}}"
        ))
    };
    assert_eq!(jobs("new"), Some(&DebugValue::Counter(12)));
    assert_eq!(jobs("duplicate"), None);
}

#[test]
fn reconcilers_that_restart_all_the_time_make_one_pass_in_a_minute() {
    let (metrics, _) = observe(Level::ERROR, async || {
        let place = Place::sqlite().unwrap();
        let world = World::losing(&place, Odds::Percent(100.0)).await;
        world.diarize().await;
        world.rest().await;
        let log = Log::default();
        let _worker = spawn(hasty(&world.inbox, noting(&log)));
        // With an interval of a minute, the lease lasts as long as the window of the rate limit.
        let start = || {
            let reconciler = world.reconciler().with_interval(Duration::from_secs(60));
            reconciler.unwrap().run_until(future::pending())
        };
        tokio::select! {
            () = start() => {}
            () = until_handled(&world.inbox, 1) => {}
        }
        world.diarize().await;
        world.rest().await;
        for _ in 0..11 {
            let restarted = time::timeout(Duration::from_millis(100), start()).await;
            restarted.unwrap_err();
        }
        assert_eq!(world.inbox.stats().await.unwrap().handled, 1);
    });
    let fetched = metrics.get("pyannote_reconciler_jobs_total{outcome=new}");
    assert_eq!(fetched, Some(&DebugValue::Counter(1)));
}
