//! What a pass tells metrics and logs.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::{
    app::{Fault, Faults, Odds},
    place::Place,
    world::{HOUR, World, eager},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn count(&self, text: &str) -> usize {
        let log = self.0.lock().unwrap();
        String::from_utf8_lossy(&log).matches(text).count()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a test on one thread, and gives what it told.
fn observe(test: impl AsyncFnOnce()) -> (BTreeMap<String, DebugValue>, Log) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(subscriber, || runtime.block_on(test()));
    });
    let metrics = snapshotter.snapshot().into_vec().into_iter();
    let metrics = metrics.map(|(key, _, _, value)| {
        let (name, labels) = key.key().clone().into_parts();
        let labels: Vec<_> = labels
            .iter()
            .map(|label| label.value().to_owned())
            .collect();
        (
            format!("{} {}", name.as_str(), labels.join(" "))
                .trim_end()
                .to_owned(),
            value,
        )
    });
    (metrics.collect(), log)
}

fn lost(faults: Faults) -> Faults {
    faults.with(Fault::Lost, Odds::Percent(100.0))
}

#[test]
fn a_pass_counts_what_became_of_jobs() {
    let (metrics, log) = observe(async || {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, |config| config.faults = lost(Faults::default())).await;
        for _ in 0..3 {
            world.diarize().await;
        }
        world.rest().await;
        world.reconciler().pass().await;
    });
    let value = |name: &str| format!("{:?}", metrics.get(name));
    let name = |rest: &str| format!("pyannote_reconciler_{rest}");
    assert_eq!(value(&name("jobs_total new")), "Some(Counter(3))");
    assert_eq!(value(&name("passes_total complete")), "Some(Counter(1))");
    assert_eq!(value(&name("missing_jobs")), "Some(Gauge(0.0))");
    assert_eq!(value(&name("pending_jobs")), "Some(Gauge(0.0))");
    assert_eq!(value(&name("urgent_jobs_total")), "None");
    assert_eq!(
        log.count("an event whose webhook did not come was fetched"),
        3
    );
    assert_eq!(log.count(" WARN "), 0);
    assert_eq!(log.count("sk_example"), 0);
}

#[test]
fn a_job_that_comes_within_an_hour_of_deletion_is_warned_of_once() {
    let (metrics, log) = observe(async || {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, |config| config.faults = lost(Faults::default())).await;
        world.diarize().await;
        world.rest().await;
        let gone = World::start(&Place::sqlite().unwrap(), |_| {}).await;
        let mut reconciler = eager(&gone.client, &world.inbox);
        for minutes in [22 * HOUR, 23 * HOUR + 1, 23 * HOUR + 30] {
            gone.clock.set(minutes);
            assert_eq!(reconciler.pass().await.failed, 1);
        }
    });
    let urgent = format!("{:?}", metrics.get("pyannote_reconciler_urgent_jobs_total"));
    assert_eq!(urgent, "Some(Counter(1))");
    let warned = "a job's output may be deleted within the hour, and its event is not in the inbox";
    assert_eq!(log.count(warned), 1);
    assert_eq!(
        log.count("a missing event could not be fetched, to be tried again"),
        3
    );
}

#[test]
fn a_lost_job_is_told_of_as_an_error_once() {
    let (metrics, log) = observe(async || {
        let place = Place::sqlite().unwrap();
        let world = World::start(&place, |config| config.faults = lost(Faults::default())).await;
        world.diarize().await;
        world.rest().await;
        let gone = World::start(&Place::sqlite().unwrap(), |_| {}).await;
        let mut reconciler = eager(&gone.client, &world.inbox);
        gone.clock.set(31 * HOUR);
        for _ in 0..2 {
            reconciler.pass().await;
        }
    });
    let lost = format!("{:?}", metrics.get("pyannote_reconciler_jobs_total lost"));
    assert_eq!(lost, "Some(Counter(1))");
    assert_eq!(log.count("a job's event is lost"), 1);
    assert_eq!(log.count(" ERROR "), 1);
}
