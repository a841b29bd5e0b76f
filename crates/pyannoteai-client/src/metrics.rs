//! The metrics of the client: names, help texts, units and buckets (feature `metrics`).
//!
//! The client records them through the `metrics` facade, so an exporter of your choice publishes them. Call
//! [`describe`] after you installed the exporter, and give it [`BUCKETS`] if it aggregates histograms.
//!
//! | name | kind | unit | labels | help |
//! |---|---|---|---|---|
//! | `pyannote_client_requests_total` | counter | count | `call`, `outcome` | Requests to the API and its storage, by call and outcome. |
//! | `pyannote_client_retries_total` | counter | count | `call` | Requests that were sent again, by call. |
//! | `pyannote_client_rate_limit_waits_total` | counter | count | | Requests that waited for the rate limit. |
//! | `pyannote_client_rate_limit_wait_seconds` | histogram | seconds | | Time that one request waited for the rate limit. |
//! | `pyannote_client_unrecorded_submissions_total` | counter | count | | Submitted jobs that the submission log failed to record. |
//!
//! Label values are fixed words. `call` is `diarize`, `identify`, `voiceprint`, `job`, `jobs`, `test`, `media_input`,
//! `media_output`, `upload` or `download`. `outcome` is `ok` or a [`ClientErrorKind`](crate::ClientErrorKind).

tower_pyannote::__metrics! {
    REQUESTS = "pyannote_client_requests_total", Counter, "count", ["call", "outcome"],
        "Requests to the API and its storage, by call and outcome.";
    RETRIES = "pyannote_client_retries_total", Counter, "count", ["call"],
        "Requests that were sent again, by call.";
    RATE_LIMIT_WAITS = "pyannote_client_rate_limit_waits_total", Counter, "count", [],
        "Requests that waited for the rate limit.";
    RATE_LIMIT_WAIT_SECONDS = "pyannote_client_rate_limit_wait_seconds", Histogram, "seconds", [],
        "Time that one request waited for the rate limit.";
    UNRECORDED_SUBMISSIONS = "pyannote_client_unrecorded_submissions_total", Counter, "count", [],
        "Submitted jobs that the submission log failed to record.";
}

/// The upper bounds of the histogram's buckets, in seconds.
///
/// The last is 2 minutes, the longest pause that the API can ask for.
pub const BUCKETS: &[(&str, &[f64])] = &[(
    RATE_LIMIT_WAIT_SECONDS,
    &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0],
)];
