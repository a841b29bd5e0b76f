use std::time::Duration;

use metrics::{counter, gauge, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use pyannoteai_client::metrics as client;
use serde_json::{Value, json};
use tower_pyannote::{
    Kind,
    event::{EventError, RetryReason},
    layer::Rejection,
    metrics as webhook,
    verify::VerifyError,
};
use tower_pyannote_archive::metrics as archive;
use tower_pyannote_forward::metrics as forward;
use tower_pyannote_inbox::metrics as inbox;

/// Installs the recorder of the process. Call this once, on tokio.
pub(crate) fn install() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in [webhook::BUCKETS, inbox::BUCKETS, client::BUCKETS].concat() {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    let handle = builder.install_recorder()?;
    webhook::describe();
    archive::describe();
    forward::describe();
    inbox::describe();
    client::describe();
    start_from_zero();
    tokio::spawn(keep_up(handle.clone()));
    Ok(handle)
}

/// Aggregates histogram samples regularly, because they use memory until the next scrape.
async fn keep_up(handle: PrometheusHandle) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        handle.run_upkeep();
    }
}

/// Returns the totals of the most important counters in the rendered text.
pub(crate) fn summary(text: &str) -> Value {
    let processed = total(text, webhook::PROCESSED_WEBHOOKS);
    let failed = total(text, webhook::FAILED_VERIFICATIONS);
    let all = processed + failed;
    json!({
        "processed_webhooks": processed,
        "failed_verifications": failed,
        "successful_events": total(text, webhook::SUCCESSFUL_EVENTS),
        "verification_success_rate": (all > 0).then(|| ratio(processed, all)),
    })
}

/// Returns the most useful gauges and counters in the rendered text, with their labels.
#[cfg(feature = "page")]
pub(crate) fn gauges(text: &str) -> Vec<crate::api::Fact> {
    let names = [
        (inbox::PASSES, "Passes of the reconciler"),
        (inbox::RECONCILED_JOBS, "Jobs that the reconciler looked at"),
        (inbox::ATTEMPTS, "Attempts to handle an event"),
    ];
    let lines = names.into_iter().flat_map(|(name, title)| {
        let lines = text.lines().filter_map(move |line| line.strip_prefix(name));
        lines.filter_map(move |rest| {
            let (labels, value) = rest.rsplit_once(' ')?;
            let labels = match labels {
                "" => "",
                labels => labels.strip_prefix('{')?.strip_suffix('}')?,
            };
            let label = labels.split('"').nth(1).unwrap_or_default();
            let name = match label {
                "" => title.to_owned(),
                label => format!("{title}: {label}"),
            };
            let value = value.to_owned();
            Some(crate::api::Fact { name, value })
        })
    });
    lines.collect()
}

/// Returns the value of a gauge without labels in the rendered text.
#[cfg(feature = "page")]
pub(crate) fn gauge<T: std::str::FromStr>(text: &str, name: &str) -> Option<T> {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix(name));
    lines.find_map(|rest| rest.strip_prefix(' ')?.parse().ok())
}

/// Adds up all series of a counter.
fn total(text: &str, name: &str) -> u64 {
    let series = text.lines().filter_map(|line| line.strip_prefix(name));
    let values = series.filter(|rest| rest.starts_with(['{', ' ']));
    let values = values.filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok());
    values.sum()
}

#[expect(
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a ratio is approximate"
)]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / all as f64
}

/// Starts every series with known labels at 0. A counter that first appears with 1 shows no increase to alert on.
fn start_from_zero() {
    for kind in KINDS {
        counter!(webhook::PROCESSED_WEBHOOKS, "kind" => kind.as_str(), "status" => "succeeded")
            .absolute(0);
        counter!(webhook::SUCCESSFUL_EVENTS, "kind" => kind.as_str()).absolute(0);
    }
    for status in ["succeeded", "failed", "canceled", "other"] {
        counter!(webhook::PROCESSED_WEBHOOKS, "kind" => "none", "status" => status).absolute(0);
    }
    counter!(webhook::SUCCESSFUL_EVENTS, "kind" => "none").absolute(0);
    for rejection in REJECTIONS {
        counter!(webhook::FAILED_VERIFICATIONS, "reason" => rejection.as_str()).absolute(0);
    }
    for reason in RETRY_REASONS {
        counter!(webhook::RETRIES, "reason" => reason.as_str().to_owned()).absolute(0);
    }
    for reason in ["none", "other"] {
        counter!(webhook::RETRIES, "reason" => reason).absolute(0);
    }
    counter!(archive::CONFLICTS).absolute(0);
    for outcome in ["published", "failed"] {
        counter!(forward::RELAYS, "outcome" => outcome).absolute(0);
    }
    for outcome in ["new", "duplicate", "conflict", "failed"] {
        counter!(inbox::COMMITS, "outcome" => outcome).absolute(0);
    }
    for outcome in ["handled", "retried", "dead", "lost"] {
        counter!(inbox::ATTEMPTS, "outcome" => outcome).absolute(0);
    }
    for state in ["waiting", "running", "handled", "dead"] {
        gauge!(inbox::EVENTS, "state" => state).set(0.0);
    }
    gauge!(inbox::OLDEST_WAITING_SECONDS).set(0.0);
    for outcome in ["complete", "incomplete"] {
        counter!(inbox::PASSES, "outcome" => outcome).absolute(0);
    }
    for outcome in ["new", "duplicate", "pending", "lost", "expired", "failed"] {
        counter!(inbox::RECONCILED_JOBS, "outcome" => outcome).absolute(0);
    }
    counter!(inbox::URGENT_JOBS).absolute(0);
    gauge!(inbox::MISSING_JOBS).set(0.0);
    gauge!(inbox::PENDING_JOBS).set(0.0);
    for name in [
        webhook::BODY_BYTES,
        webhook::VERIFICATION_SECONDS,
        inbox::COMMIT_SECONDS,
        inbox::PASS_SECONDS,
    ] {
        let _ = histogram!(name);
    }
    gauge!(webhook::IN_FLIGHT_BYTES).set(0.0);
}

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
