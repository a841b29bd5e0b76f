use tracing::{Span, debug, field, info_span, warn};

use crate::event::{Kind, WebhookEvent};
use crate::layer::Rejection;
use crate::verifier::{Verified, VerifyError};

pub(super) fn rejected(rejection: Rejection) {
    let (status, reason) = (rejection.status().as_u16(), rejection.as_str());
    match rejection {
        // Whatever scans the internet sends these, and they tell an operator nothing.
        Rejection::MethodNotAllowed
        | Rejection::Unverified(VerifyError::MissingTimestamp | VerifyError::MissingSignature) => {
            debug!(status, reason, "webhook refused: {rejection}");
        }
        _ => warn!(status, reason, "webhook refused: {rejection}"),
    }
}

pub(super) fn verified(verified: Verified, bytes: usize) {
    debug!(
        bytes,
        secret = verified.secret_index(),
        encoding = verified.encoding().as_str(),
        "webhook verified"
    );
}

/// The span in which the inner service handles a delivery.
#[derive(Debug)]
pub(crate) struct DeliverySpan(Span);

impl DeliverySpan {
    pub(crate) fn new(event: &WebhookEvent) -> Self {
        let span = info_span!(
            "webhook",
            job_id = event.job_id(),
            kind = event.kind().map(Kind::as_str),
            status = event.status().as_str(),
            retry = field::Empty,
        );
        if let Some(retry) = event.retry() {
            span.record("retry", retry.number);
        }
        Self(span)
    }

    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.in_scope(work)
    }
}
