use std::time::{Duration, Instant};

use super::rejection::Rejection;
use crate::event::{Kind, RetryReason, Status, webhook_event::WebhookEvent};
use crate::telemetry::{log_event, metric};
use crate::verifier::{Verified, VerifyError};

pub(super) fn rejected(rejection: Rejection) {
    let (status, reason) = (rejection.status().as_u16(), rejection.as_str());
    match rejection {
        // Internet scanners cause these refusals, so an operator learns nothing from them.
        Rejection::MethodNotAllowed
        | Rejection::Unverified(VerifyError::MissingTimestamp | VerifyError::MissingSignature) => {
            log_event!(
                DEBUG,
                status = status,
                reason = reason,
                "webhook refused: {rejection}"
            );
        }
        _ => log_event!(
            WARN,
            status = status,
            reason = reason,
            "webhook refused: {rejection}"
        ),
    }
    metric!(counter(crate::metrics::FAILED_VERIFICATIONS, "reason" => reason).increment(1));
}

pub(super) fn verified(verified: Verified, bytes: usize, hashing: Stopwatch) {
    let (secret, encoding) = (verified.secret_index(), verified.encoding().as_str());
    log_event!(
        DEBUG,
        bytes = bytes,
        secret = secret,
        encoding = encoding,
        "webhook verified"
    );
    metric!(
        counter(crate::metrics::SIGNATURES, "secret" => secret.to_string(), "encoding" => encoding)
            .increment(1)
    );
    metric!(histogram(crate::metrics::BODY_BYTES).record(float(bytes)));
    metric!(histogram(crate::metrics::VERIFICATION_SECONDS).record(hashing.0));
}

pub(super) fn accepted(event: &WebhookEvent) {
    metric!(
        counter(
            crate::metrics::PROCESSED_WEBHOOKS,
            "kind" => event.kind().map_or("none", Kind::as_str),
            "status" => status_label(event.status())
        )
        .increment(1)
    );
    if let Some(retry) = event.retry() {
        let reason = retry.reason.as_ref().map_or("none", reason_label);
        metric!(counter(crate::metrics::RETRIES, "reason" => reason).increment(1));
    }
}

/// The span in which the inner service handles a delivery.
#[derive(Debug)]
pub(super) struct DeliverySpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl DeliverySpan {
    #[cfg_attr(not(feature = "tracing"), expect(unused_variables))]
    pub(super) fn new(event: &WebhookEvent) -> Self {
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::info_span!(
                "webhook",
                job_id = event.job_id(),
                kind = event.kind().map(Kind::as_str),
                status = event.status().as_str(),
                retry = event.retry().map(|retry| retry.number),
                // An inner service that propagates traces, such as the inbox, records these.
                trace_id = tracing::field::Empty,
                span_id = tracing::field::Empty,
                outcome = tracing::field::Empty,
                otel.status_code = tracing::field::Empty,
            ),
        }
    }

    pub(super) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        let _entered = self.span.enter();
        work()
    }
}

/// The time spent on hashing one body. It stays zero without feature `metrics`, because reading the clock takes time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stopwatch(Duration);

impl Stopwatch {
    pub(super) fn time<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = cfg!(feature = "metrics").then(Instant::now);
        let done = work();
        self.0 += started.map_or(Duration::ZERO, |started| started.elapsed());
        done
    }
}

/// The bytes that one body adds to the gauge of bytes in flight, until it is dropped.
#[derive(Debug, Default)]
pub(super) struct InFlight(usize);

impl InFlight {
    pub(super) fn add(&mut self, bytes: usize) {
        self.0 += bytes;
        metric!(gauge(crate::metrics::IN_FLIGHT_BYTES).increment(float(bytes)));
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0 > 0 {
            metric!(gauge(crate::metrics::IN_FLIGHT_BYTES).decrement(float(self.0)));
        }
    }
}

/// Returns the label value of a status.
///
/// A sender can invent statuses, so all except the documented three share the value `other`.
fn status_label(status: &Status) -> &'static str {
    match status {
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Canceled => "canceled",
        Status::Pending | Status::Created | Status::Running | Status::Other(_) => "other",
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
    reason = "a size is far below the 2^53 up to which a float is exact"
)]
fn float(bytes: usize) -> f64 {
    bytes as f64
}
