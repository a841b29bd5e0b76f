use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};

use crate::event::{Kind, RetryReason, Status, WebhookEvent};
use crate::layer::Rejection;
use crate::verifier::Verified;

pub(super) fn rejected(rejection: Rejection) {
    counter!("pyannote_webhook_failed_verifications_total", "reason" => rejection.as_str())
        .increment(1);
}

pub(super) fn verified(verified: Verified, bytes: usize, stopwatch: Stopwatch) {
    counter!(
        "pyannote_webhook_signatures_total",
        "secret" => verified.secret_index().to_string(),
        "encoding" => verified.encoding().as_str()
    )
    .increment(1);
    histogram!("pyannote_webhook_body_bytes").record(float(bytes));
    histogram!("pyannote_webhook_verification_seconds").record(stopwatch.0);
}

pub(super) fn accepted(event: &WebhookEvent) {
    counter!(
        "pyannote_webhook_processed_webhooks_total",
        "kind" => event.kind().map_or("none", Kind::as_str),
        "status" => status_label(event.status())
    )
    .increment(1);
    if let Some(retry) = event.retry() {
        let reason = retry.reason.as_ref().map_or("none", reason_label);
        counter!("pyannote_webhook_retries_total", "reason" => reason).increment(1);
    }
}

/// The time spent on hashing one body.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stopwatch(Duration);

impl Stopwatch {
    pub(crate) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.0 += begun.elapsed();
        done
    }
}

/// One body's share of the bytes in flight.
#[derive(Debug, Default)]
pub(crate) struct InFlight(usize);

impl InFlight {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.0 += bytes;
        gauge!(IN_FLIGHT).increment(float(bytes));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0 > 0 {
            gauge!(IN_FLIGHT).decrement(float(self.0));
        }
    }
}

/// Label values must be few: what a sender may invent is one word.
fn status_label(status: &Status) -> &'static str {
    match status {
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
        Status::Other(_) => "other",
    }
}

fn reason_label(reason: &RetryReason) -> &'static str {
    match reason {
        RetryReason::HttpTimeout => "http_timeout",
        RetryReason::TooManyRedirects => "too_many_redirects",
        RetryReason::ConnectionFailed => "connection_failed",
        RetryReason::SslError => "ssl_error",
        RetryReason::HttpError => "http_error",
        RetryReason::UnknownError => "unknown_error",
        RetryReason::Other(_) => "other",
    }
}

#[expect(
    clippy::as_conversions,
    reason = "a size is far below the 2^53 that a float holds exactly"
)]
fn float(bytes: usize) -> f64 {
    bytes as f64
}

const IN_FLIGHT: &str = "pyannote_webhook_in_flight_bytes";
