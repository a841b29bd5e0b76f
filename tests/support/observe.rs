//! What the code that a test runs tells metrics and logs.
#![allow(dead_code, reason = "each test uses its part")]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::Level;

/// Values of metrics by `name{label=value}`.
pub(crate) type Metrics = BTreeMap<String, DebugValue>;

/// Runs a test on a thread of its own runtime, and returns the metrics and the log from this level on.
pub(crate) fn observe(level: Level, test: impl AsyncFnOnce()) -> (Metrics, String) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let metrics = tracing::subscriber::with_default(subscriber, || measure(test));
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (metrics, log)
}

/// Runs a test on a thread of its own runtime, and returns the metrics.
pub(crate) fn measure(test: impl AsyncFnOnce()) -> Metrics {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test()));
    snapshot(&recorder.snapshotter())
}

/// The metrics since the last snapshot.
pub(crate) fn snapshot(snapshotter: &Snapshotter) -> Metrics {
    let values = snapshotter.snapshot().into_vec().into_iter();
    let values = values.map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        (format!("{}{{{}}}", key.name(), labels.join(",")), value)
    });
    values.collect()
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
