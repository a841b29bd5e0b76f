//! The metrics of the client: names, help texts, units and buckets (feature `metrics`).
//!
//! The client records them through the `metrics` facade, so an exporter of your choice publishes them.
//! Call [`describe`] after you installed the exporter, and give it [`BUCKETS`] if it aggregates
//! histograms.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_client_requests_total` | counter | count | `call`, `outcome` | Requests to the API and its storage, by call and outcome. |
//! | `pyannote_client_retries_total` | counter | count | `call` | Requests that were sent again, by call. |
//! | `pyannote_client_rate_limit_waits_total` | counter | count | | Requests that waited for the rate limit. |
//! | `pyannote_client_rate_limit_wait_seconds` | histogram | seconds | | Time that one request waited for the rate limit. |
//! | `pyannote_client_unrecorded_submissions_total` | counter | count | | Submitted jobs that the submission log failed to record. |
//!
//! Label values are fixed words. `call` is `diarize`, `identify`, `voiceprint`, `job`, `jobs`, `test`,
//! `media_input`, `media_output`, `upload` or `download`. `outcome` is `ok` or a
//! [`ClientErrorKind`](crate::ClientErrorKind).

use metrics::{Unit, describe_counter, describe_histogram};

/// Requests to the API and its storage, by call and outcome.
pub const REQUESTS: &str = "pyannote_client_requests_total";
/// Requests that were sent again, by call.
pub const RETRIES: &str = "pyannote_client_retries_total";
/// Requests that waited for the rate limit.
pub const RATE_LIMIT_WAITS: &str = "pyannote_client_rate_limit_waits_total";
/// Time that one request waited for the rate limit.
pub const RATE_LIMIT_WAIT_SECONDS: &str = "pyannote_client_rate_limit_wait_seconds";
/// Submitted jobs that the submission log failed to record.
pub const UNRECORDED_SUBMISSIONS: &str = "pyannote_client_unrecorded_submissions_total";

/// The upper bounds of the histograms' buckets, in the unit of each.
pub const BUCKETS: &[(&str, &[f64])] = &[(RATE_LIMIT_WAIT_SECONDS, &WAITING)];

/// Registers the units and help texts with the installed recorder. Does nothing if there is none.
pub fn describe() {
    let count = |name, help| describe_counter!(name, Unit::Count, help);
    count(
        REQUESTS,
        "Requests to the API and its storage, by call and outcome.",
    );
    count(RETRIES, "Requests that were sent again, by call.");
    count(RATE_LIMIT_WAITS, "Requests that waited for the rate limit.");
    describe_histogram!(
        RATE_LIMIT_WAIT_SECONDS,
        Unit::Seconds,
        "Time that one request waited for the rate limit."
    );
    count(
        UNRECORDED_SUBMISSIONS,
        "Submitted jobs that the submission log failed to record.",
    );
}

/// Up to 2 minutes, the longest pause that the API can ask for.
const WAITING: [f64; 9] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0];
