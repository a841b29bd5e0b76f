use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tower_pyannote::{
    Kind,
    event::{EventError, RetryReason},
    layer::Rejection,
    verify::VerifyError,
};

/// Collects what the crate counts, for the whole process; call it once, on tokio.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(full(BODY_BYTES), &BYTES)?
        .set_buckets_for_metric(full(VERIFICATION_SECONDS), &FAST)?
        .set_buckets_for_metric(full(HANDLER_SECONDS), &SLOW)?
        .set_buckets_for_metric(full(COMMIT_SECONDS), &SLOW)?
        .set_buckets_for_metric(full(PASS_SECONDS), &PASS)?
        .install_recorder()?;
    describe();
    start_from_zero();
    tokio::spawn(keep_up(handle.clone()));
    Ok(handle)
}

/// Takes in what the histograms were given, lest it pile up while nobody asks.
async fn keep_up(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!(
        PROCESSED,
        "Deliveries that were verified and handed to the handlers."
    );
    describe_counter!(FAILED, "Requests that were refused, by reason.");
    describe_counter!(
        SUCCESSFUL,
        "Deliveries after which every handler succeeded."
    );
    describe_counter!(
        RETRIES,
        "Verified deliveries that were retries, by x-retry-reason."
    );
    describe_counter!(
        SIGNATURES,
        "Signatures that matched, by index of the secret and by encoding."
    );
    describe_counter!(CONFLICTS, "Repeated events that differ from the kept one.");
    describe_counter!(
        HANDLER_FAILURES,
        "Failures of handlers, by handler and outcome."
    );
    describe_histogram!(BODY_BYTES, "Size of verified bodies.");
    describe_histogram!(VERIFICATION_SECONDS, "Time spent on hashing one body.");
    describe_histogram!(HANDLER_SECONDS, "Time one handler took for one event.");
    describe_counter!(
        COMMITS,
        "Events given to the inbox, by what became of them."
    );
    describe_counter!(ATTEMPTS, "Attempts to handle an event, by how they ended.");
    describe_histogram!(
        COMMIT_SECONDS,
        "Time until an event was committed, or was not."
    );
    describe_gauge!(INBOX_EVENTS, "Events in the inbox, by state.");
    describe_gauge!(
        OLDEST_WAITING,
        "Age of the oldest event in the inbox that is not handled yet."
    );
    describe_counter!(PASSES, "Looks of the reconciler at the API.");
    describe_counter!(
        RECONCILED,
        "Missing jobs that were asked for, by what became of them."
    );
    describe_counter!(
        URGENT,
        "Missing jobs that came within an hour of the deletion of their output."
    );
    describe_gauge!(
        MISSING,
        "Jobs whose event is still missing after the last look at the API."
    );
    describe_gauge!(
        PENDING,
        "Jobs that are not over, or still left to their webhook."
    );
    describe_histogram!(PASS_SECONDS, "Time of one look at the API.");
    describe_gauge!(
        IN_FLIGHT,
        "Bytes of bodies that are being received or handled."
    );
}

/// Shows every series that can be foreseen from the start: a counter that first appears as 1 has no increase to alert on.
fn start_from_zero() {
    for kind in KINDS {
        counter!(PROCESSED, "kind" => kind.as_str(), "status" => "succeeded").absolute(0);
        counter!(SUCCESSFUL, "kind" => kind.as_str()).absolute(0);
    }
    for status in ["succeeded", "failed", "canceled", "other"] {
        counter!(PROCESSED, "kind" => "none", "status" => status).absolute(0);
    }
    counter!(SUCCESSFUL, "kind" => "none").absolute(0);
    for rejection in REJECTIONS {
        counter!(FAILED, "reason" => rejection.as_str()).absolute(0);
    }
    for reason in RETRY_REASONS {
        counter!(RETRIES, "reason" => reason.as_str().to_owned()).absolute(0);
    }
    for reason in ["none", "other"] {
        counter!(RETRIES, "reason" => reason).absolute(0);
    }
    counter!(CONFLICTS).absolute(0);
    for outcome in ["new", "duplicate", "conflict", "failed"] {
        counter!(COMMITS, "outcome" => outcome).absolute(0);
    }
    for outcome in ["handled", "retried", "dead", "lost"] {
        counter!(ATTEMPTS, "outcome" => outcome).absolute(0);
    }
    for state in ["waiting", "running", "handled", "dead"] {
        gauge!(INBOX_EVENTS, "state" => state).set(0.0);
    }
    gauge!(OLDEST_WAITING).set(0.0);
    for outcome in ["complete", "incomplete"] {
        counter!(PASSES, "outcome" => outcome).absolute(0);
    }
    for outcome in ["new", "duplicate", "pending", "lost", "expired", "failed"] {
        counter!(RECONCILED, "outcome" => outcome).absolute(0);
    }
    counter!(URGENT).absolute(0);
    gauge!(MISSING).set(0.0);
    gauge!(PENDING).set(0.0);
    for name in [
        BODY_BYTES,
        VERIFICATION_SECONDS,
        COMMIT_SECONDS,
        PASS_SECONDS,
    ] {
        let _ = histogram!(name);
    }
    gauge!(IN_FLIGHT).set(0.0);
}

const PROCESSED: &str = "pyannote_webhook_processed_webhooks_total";
const FAILED: &str = "pyannote_webhook_failed_verifications_total";
const SUCCESSFUL: &str = "pyannote_webhook_successful_events_total";
const RETRIES: &str = "pyannote_webhook_retries_total";
const SIGNATURES: &str = "pyannote_webhook_signatures_total";
const CONFLICTS: &str = "pyannote_webhook_archive_conflicts_total";
const HANDLER_FAILURES: &str = "pyannote_webhook_handler_failures_total";
const BODY_BYTES: &str = "pyannote_webhook_body_bytes";
const VERIFICATION_SECONDS: &str = "pyannote_webhook_verification_seconds";
const HANDLER_SECONDS: &str = "pyannote_webhook_handler_seconds";
const COMMITS: &str = "pyannote_inbox_commits_total";
const COMMIT_SECONDS: &str = "pyannote_inbox_commit_seconds";
const ATTEMPTS: &str = "pyannote_inbox_attempts_total";
const INBOX_EVENTS: &str = "pyannote_inbox_events";
const OLDEST_WAITING: &str = "pyannote_inbox_oldest_waiting_seconds";
const PASSES: &str = "pyannote_reconciler_passes_total";
const PASS_SECONDS: &str = "pyannote_reconciler_pass_seconds";
const RECONCILED: &str = "pyannote_reconciler_jobs_total";
const URGENT: &str = "pyannote_reconciler_urgent_jobs_total";
const MISSING: &str = "pyannote_reconciler_missing_jobs";
const PENDING: &str = "pyannote_reconciler_pending_jobs";
const IN_FLIGHT: &str = "pyannote_webhook_in_flight_bytes";

/// From 1 KiB to the limit of the layer, 128 MiB.
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
const FAST: [f64; 10] = [
    0.000_005, 0.000_01, 0.000_05, 0.000_1, 0.000_5, 0.001, 0.005, 0.01, 0.05, 0.25,
];
const SLOW: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 4.0, 8.0];

const PASS: [f64; 8] = [0.01, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

const KINDS: [Kind; 4] = [
    Kind::Diarization,
    Kind::Identification,
    Kind::Voiceprint,
    Kind::Unknown,
];
const RETRY_REASONS: [RetryReason; 6] = [
    RetryReason::HttpTimeout,
    RetryReason::TooManyRedirects,
    RetryReason::ConnectionFailed,
    RetryReason::SslError,
    RetryReason::HttpError,
    RetryReason::UnknownError,
];
const REJECTIONS: [Rejection; 18] = [
    Rejection::MethodNotAllowed,
    Rejection::Unverified(VerifyError::MissingTimestamp),
    Rejection::Unverified(VerifyError::MissingSignature),
    Rejection::Unverified(VerifyError::DuplicateTimestamp),
    Rejection::Unverified(VerifyError::DuplicateSignature),
    Rejection::Unverified(VerifyError::MalformedTimestamp),
    Rejection::Unverified(VerifyError::MalformedSignature),
    Rejection::Unverified(VerifyError::StaleTimestamp),
    Rejection::Unverified(VerifyError::FutureTimestamp),
    Rejection::Unverified(VerifyError::SignatureMismatch),
    Rejection::BodyTooLarge,
    Rejection::BodyTimeout,
    Rejection::BodyBroken,
    Rejection::Overloaded,
    Rejection::Malformed(EventError::NotUtf8),
    Rejection::Malformed(EventError::Syntax),
    Rejection::Malformed(EventError::NotAnObject),
    Rejection::Malformed(EventError::MissingJobId),
];
