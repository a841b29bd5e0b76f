use std::time::SystemTime;

use http::StatusCode;

use crate::event::{Retry, RetryReason};

/// The attempts of a delivery, from [`WebhookSender`](crate::testing::WebhookSender).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct DeliveryReport {
    /// The attempts, in order; never empty.
    pub attempts: Vec<DeliveryAttempt>,
}

impl DeliveryReport {
    /// Returns whether the last attempt was answered with 2xx. If not, the delivery is lost.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.attempts
            .last()
            .is_some_and(DeliveryAttempt::is_accepted)
    }

    /// Returns the status of the answer to the last attempt; `None` if there was no answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.attempts.last()?.answer.as_ref().ok().copied()
    }
}

/// One attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// The time of the attempt, by the sender's clock.
    pub at: SystemTime,
    /// The number and reason of the retry; `None` for the first attempt.
    pub retry: Option<Retry>,
    /// The status of the answer, or the reason why there was none.
    pub answer: Result<StatusCode, RetryReason>,
}

impl DeliveryAttempt {
    /// Returns whether the attempt was answered with 2xx.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.failure().is_none()
    }

    /// Returns the reason for a retry; `None` if the attempt was accepted.
    pub(super) fn failure(&self) -> Option<RetryReason> {
        match &self.answer {
            Ok(status) if status.is_success() => None,
            Ok(_) => Some(RetryReason::HttpError),
            Err(reason) => Some(reason.clone()),
        }
    }
}
