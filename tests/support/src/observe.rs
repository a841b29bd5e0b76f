//! The metrics and the log of the code under test.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::sync::Once;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// The values of metrics, by `name{label=value}`.
pub type Metrics = BTreeMap<String, DebugValue>;

thread_local! {
    /// The level and the text of the log, in a thread that calls [`observe`].
    static LOG: RefCell<Option<(Level, Vec<u8>)>> = const { RefCell::new(None) };
}

/// Runs a test on a runtime of this thread, and returns its metrics, and its log down to `level`.
pub fn observe(level: Level, test: impl AsyncFnOnce()) -> (Metrics, String) {
    listen();
    LOG.set(Some((level, Vec::new())));
    let metrics = measure(test);
    let (_, log) = LOG.take().unwrap();
    (metrics, String::from_utf8(log).unwrap())
}

/// Installs one logger for all threads. Without it, tracing may cache that no logger is interested.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(Level::TRACE)
            .with_ansi(false)
            .with_writer(Logs)
            .init();
        tracing::callsite::rebuild_interest_cache();
    });
}

struct Logs;

impl MakeWriter<'_> for Logs {
    type Writer = Log;

    fn make_writer(&self) -> Log {
        Log(Level::ERROR)
    }

    fn make_writer_for(&self, event: &Metadata<'_>) -> Log {
        Log(*event.level())
    }
}

/// Writes an event of this level.
struct Log(Level);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.with_borrow_mut(|log| match log {
            Some((level, log)) if self.0 <= *level => log.extend_from_slice(bytes),
            _ => {}
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs a test on a runtime of this thread, and returns its metrics.
pub fn measure(test: impl AsyncFnOnce()) -> Metrics {
    let recorder = DebuggingRecorder::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(test()));
    snapshot(&recorder.snapshotter())
}

/// Returns the metrics since the last snapshot.
pub fn snapshot(snapshotter: &Snapshotter) -> Metrics {
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
