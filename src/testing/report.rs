use std::time::SystemTime;

use http::StatusCode;

use crate::event::{Retry, RetryReason};

/// What came of a delivery, from [`WebhookSender`](crate::testing::WebhookSender).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct DeliveryReport {
    /// The attempts, in the order they were made; never empty.
    pub attempts: Vec<DeliveryAttempt>,
}

impl DeliveryReport {
    /// Whether the last attempt was answered 2xx; if not, the delivery is lost.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.attempts
            .last()
            .is_some_and(DeliveryAttempt::is_accepted)
    }

    /// The status of the last attempt, if it was answered.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.attempts.last()?.answer.as_ref().ok().copied()
    }
}

/// One attempt of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryAttempt {
    /// When it was made, by the sender's clock.
    pub at: SystemTime,
    /// Which repetition it was; `None` for the first attempt.
    pub retry: Option<Retry>,
    /// The status it was answered with, or why there was no answer.
    pub answer: Result<StatusCode, RetryReason>,
}

impl DeliveryAttempt {
    /// Whether it was answered 2xx.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.failure().is_none()
    }

    /// What the next attempt gives as the reason for being made; `None` if this one was accepted.
    pub(super) fn failure(&self) -> Option<RetryReason> {
        match &self.answer {
            Ok(status) if status.is_success() => None,
            Ok(_) => Some(RetryReason::HttpError),
            Err(reason) => Some(reason.clone()),
        }
    }
}
