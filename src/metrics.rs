//! The metrics that this crate emits: names, help texts, units and buckets (feature `metrics`).
//!
//! They are recorded through the `metrics` facade, so an exporter of your choice publishes them. Call [`describe`] after it is
//! installed, and give it [`BUCKETS`] if it aggregates histograms.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_webhook_processed_webhooks_total` | counter | count | `kind`, `status` | Deliveries that were verified and passed to the inner service. |
//! | `pyannote_webhook_failed_verifications_total` | counter | count | `reason` | Requests that were refused, by reason. |
//! | `pyannote_webhook_retries_total` | counter | count | `reason` | Verified deliveries that were retries, by x-retry-reason. |
//! | `pyannote_webhook_signatures_total` | counter | count | `secret`, `encoding` | Signatures that matched, by index of the secret and by encoding. |
//! | `pyannote_webhook_body_bytes` | histogram | bytes | | Size of verified bodies. |
//! | `pyannote_webhook_verification_seconds` | histogram | seconds | | Time spent on hashing one body. |
//! | `pyannote_webhook_in_flight_bytes` | gauge | bytes | | Bytes of bodies that are being received or handled. |
//! | `pyannote_webhook_successful_events_total` | counter | count | `kind` | Events of succeeded jobs for which every handler succeeded. |
//! | `pyannote_webhook_handler_failures_total` | counter | count | `handler`, `outcome` | Failures of handlers, by handler and outcome. |
//! | `pyannote_webhook_handler_seconds` | histogram | seconds | `handler` | Time one handler took for one event. |
//!
//! Label values are fixed words, except for `secret`, which is an index, and `handler`, which is a name that you gave. The first
//! seven come from the layer, the last three from the handlers.
//!
//! # Example
//!
//! ```
//! use tower_pyannote::metrics;
//!
//! // After the exporter is installed:
//! metrics::describe();
//!
//! let (name, buckets) = metrics::BUCKETS[0];
//! assert_eq!(name, metrics::BODY_BYTES);
//! assert!(buckets.is_sorted());
//! ```

use metrics::{Unit, with_recorder};

/// A metric, as [`METRICS`] lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, as recorded.
    pub name: &'static str,
    /// How it is recorded.
    pub kind: MetricKind,
    /// The unit: `count`, `bytes` or `seconds`.
    pub unit: &'static str,
    /// The labels, in the order in which they are recorded.
    pub labels: &'static [&'static str],
    /// One sentence on what it measures.
    pub help: &'static str,
}

/// How a [`Metric`] is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MetricKind {
    /// A count that only grows.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// A distribution of values.
    Histogram,
}

impl Metric {
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: MetricKind,
        unit: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            unit,
            labels,
            help,
        }
    }

    /// Registers the unit and the help text with the installed recorder. Does nothing if there is none.
    pub fn describe(&self) {
        let (name, help) = (self.name.into(), self.help.into());
        let unit = Unit::from_string(self.unit);
        with_recorder(|recorder| match self.kind {
            MetricKind::Counter => recorder.describe_counter(name, unit, help),
            MetricKind::Gauge => recorder.describe_gauge(name, unit, help),
            MetricKind::Histogram => recorder.describe_histogram(name, unit, help),
        });
    }
}

/// Defines a constant for each metric's name, `METRICS` and `describe`. The crates around this one use it too.
#[doc(hidden)]
#[macro_export]
macro_rules! __metrics {
    ($($constant:ident = $name:literal, $kind:ident, $unit:literal, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: &str = $name;
        )*

        /// All metrics that this crate emits.
        pub const METRICS: &[$crate::metrics::Metric] = &[$($crate::metrics::Metric::new(
            $constant,
            $crate::metrics::MetricKind::$kind,
            $unit,
            &$labels,
            $help,
        )),*];

        /// Registers the units and help texts of [`METRICS`] with the installed recorder. Does nothing if there is none.
        pub fn describe() {
            METRICS.iter().for_each($crate::metrics::Metric::describe);
        }
    };
}

__metrics! {
    PROCESSED_WEBHOOKS = "pyannote_webhook_processed_webhooks_total", Counter, "count", ["kind", "status"],
        "Deliveries that were verified and passed to the inner service.";
    FAILED_VERIFICATIONS = "pyannote_webhook_failed_verifications_total", Counter, "count", ["reason"],
        "Requests that were refused, by reason.";
    RETRIES = "pyannote_webhook_retries_total", Counter, "count", ["reason"],
        "Verified deliveries that were retries, by x-retry-reason.";
    SIGNATURES = "pyannote_webhook_signatures_total", Counter, "count", ["secret", "encoding"],
        "Signatures that matched, by index of the secret and by encoding.";
    BODY_BYTES = "pyannote_webhook_body_bytes", Histogram, "bytes", [],
        "Size of verified bodies.";
    VERIFICATION_SECONDS = "pyannote_webhook_verification_seconds", Histogram, "seconds", [],
        "Time spent on hashing one body.";
    IN_FLIGHT_BYTES = "pyannote_webhook_in_flight_bytes", Gauge, "bytes", [],
        "Bytes of bodies that are being received or handled.";
    SUCCESSFUL_EVENTS = "pyannote_webhook_successful_events_total", Counter, "count", ["kind"],
        "Events of succeeded jobs for which every handler succeeded.";
    HANDLER_FAILURES = "pyannote_webhook_handler_failures_total", Counter, "count", ["handler", "outcome"],
        "Failures of handlers, by handler and outcome.";
    HANDLER_SECONDS = "pyannote_webhook_handler_seconds", Histogram, "seconds", ["handler"],
        "Time one handler took for one event.";
}

/// The upper bounds of the histograms' buckets, in the unit of each.
pub const BUCKETS: &[(&str, &[f64])] = &[
    (BODY_BYTES, &BYTES),
    (VERIFICATION_SECONDS, &HASHING),
    (HANDLER_SECONDS, &HANDLING),
];

/// From 1 KiB to the layer's default body limit, 128 MiB.
const BYTES: [f64; 10] = [
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    134_217_728.0,
];

const HASHING: [f64; 10] = [
    0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.25,
];

/// Up to 8 s, because pyannoteAI waits 10 s for an answer.
const HANDLING: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 4.0, 8.0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_in_the_docs_lists_every_metric() {
        let rows = METRICS.iter().map(|metric| {
            let kind = format!("{:?}", metric.kind).to_lowercase();
            let labels: Vec<_> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
            let labels = format!("| {} | ", labels.join(", ")).replace("|  |", "| |");
            format!(
                "//! | `{}` | {kind} | {} {labels}{} |",
                metric.name, metric.unit, metric.help
            )
        });
        let source = include_str!("metrics.rs").lines();
        let table: Vec<_> = source.filter(|line| line.starts_with("//! | `")).collect();
        assert_eq!(rows.collect::<Vec<_>>(), table);
    }

    #[test]
    fn every_histogram_has_ascending_buckets_and_every_unit_is_known() {
        for metric in METRICS {
            let buckets = BUCKETS.iter().find(|(name, _)| *name == metric.name);
            let is_histogram = metric.kind == MetricKind::Histogram;
            assert_eq!(buckets.is_some(), is_histogram, "{}", metric.name);
            assert!(Unit::from_string(metric.unit).is_some(), "{}", metric.name);
        }
        for (name, bounds) in BUCKETS {
            assert!(bounds.is_sorted(), "{name}");
        }
    }
}
