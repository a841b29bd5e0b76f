use std::fmt;
use std::time::Duration;

use crate::clock::SystemClock;
use crate::error::ConfigError;
use crate::secret::SecretSet;
use crate::verifier::Verifier;

use super::{budget::ByteBudget, limits::Limits, rejection::DefaultResponseForRejection};

/// Layer that applies the [`VerifySignature`](super::VerifySignature) middleware: it lets through only what pyannoteAI signed, with a
/// [`WebhookEvent`](crate::WebhookEvent) in the request's extensions.
///
/// See the [crate docs](crate) for an example and for what is refused.
///
/// Put it outside whatever touches the body, decompression above all: the signature is over the bytes as sent. It reads
/// time with its [`Clock`](crate::clock::Clock), by default Tokio's, of which it needs the timer when a body does not come at
/// once.
///
/// # Example: options
///
/// ```
/// use std::time::Duration;
/// use http::{Response, StatusCode};
/// use tower_pyannote::{PyannoteSignatureLayer, SecretSet, layer::Rejection};
///
/// let layer = PyannoteSignatureLayer::new(SecretSet::from_list("whs_new,whs_old")?)
///     .with_tolerance(Duration::from_secs(450))
///     .with_body_limit(32 << 20)?
///     .with_body_read_timeout(Duration::from_secs(20))?
///     .with_rejection_response(|rejection: Rejection| {
///         let mut response = Response::new(String::new());
///         *response.status_mut() = rejection.status();
///         response
///     });
/// # let _ = layer;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct PyannoteSignatureLayer<C = SystemClock, R = DefaultResponseForRejection> {
    pub(super) verifier: Verifier,
    pub(super) limits: Limits,
    pub(super) budget: ByteBudget,
    pub(super) clock: C,
    pub(super) rejection_response: R,
}

impl PyannoteSignatureLayer {
    /// A layer that accepts what was signed with any of `secrets`, with the defaults that each setter names.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        Self::from_verifier(Verifier::new(secrets))
    }

    /// A layer that accepts what `verifier` does.
    pub fn from_verifier(verifier: Verifier) -> Self {
        Self {
            verifier,
            limits: Limits::default(),
            budget: ByteBudget::of(DEFAULT_BUDGET),
            clock: SystemClock,
            rejection_response: DefaultResponseForRejection,
        }
    }
}

impl<C, R> PyannoteSignatureLayer<C, R> {
    /// Sets how much older and how much newer than now a timestamp may be, 600 s by default; see
    /// [`Verifier::with_tolerance`].
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.verifier = self.verifier.with_tolerance(tolerance);
        self
    }

    /// Sets how many bytes a body may have, 128 MiB by default: a day of audio with score curves takes over 64 MiB.
    ///
    /// # Errors
    ///
    /// The limit is 0, or over the byte budget.
    pub fn with_body_limit(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::ZeroBodyLimit);
        }
        self.limits.body = bytes;
        self.check_budget()
    }

    /// Sets how many bytes all bodies in flight may hold together, 256 MiB by default; see [`ByteBudget`].
    ///
    /// # Errors
    ///
    /// The budget is under the body limit.
    pub fn with_byte_budget(mut self, budget: ByteBudget) -> Result<Self, ConfigError> {
        self.budget = budget;
        self.check_budget()
    }

    /// Sets how long a piece of a body waits for the byte budget before the body is refused with 503, 5 s by default.
    ///
    /// pyannoteAI gives up after 10 s, so that longer helps nobody.
    pub fn with_budget_wait(mut self, wait: Duration) -> Self {
        self.limits.budget_wait = wait;
        self
    }

    /// Sets how long the whole body may take to arrive, 30 s by default; what takes longer is refused with 408, or with 503
    /// if it was waiting for the byte budget.
    ///
    /// The time begins when the body first does not come at once, and goes on while it waits for the budget.
    ///
    /// # Errors
    ///
    /// The time is zero.
    pub fn with_body_read_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "body_read_timeout",
            });
        }
        self.limits.read_timeout = timeout;
        Ok(self)
    }

    /// Sets how many bytes a second a body must bring, over every 5 s that it keeps us waiting, 16 KiB by default; one that
    /// brings less is refused with 408, and 0 allows any rate.
    pub fn with_least_rate(mut self, bytes_per_second: u32) -> Self {
        self.limits.least_rate = bytes_per_second;
        self
    }

    /// Sets the clock, [`SystemClock`] by default.
    pub fn with_clock<C2>(self, clock: C2) -> PyannoteSignatureLayer<C2, R> {
        PyannoteSignatureLayer {
            verifier: self.verifier,
            limits: self.limits,
            budget: self.budget,
            clock,
            rejection_response: self.rejection_response,
        }
    }

    /// Sets what builds the response to a refused request, [`DefaultResponseForRejection`] by default.
    ///
    /// The [`Rejection`] is added to the response's extensions whoever builds it.
    pub fn with_rejection_response<R2>(self, response: R2) -> PyannoteSignatureLayer<C, R2> {
        PyannoteSignatureLayer {
            verifier: self.verifier,
            limits: self.limits,
            budget: self.budget,
            clock: self.clock,
            rejection_response: response,
        }
    }

    fn check_budget(self) -> Result<Self, ConfigError> {
        let (limit, budget) = (self.limits.body, self.budget.size());
        if limit > budget {
            return Err(ConfigError::BodyLimitOverBudget { limit, budget });
        }
        Ok(self)
    }
}

impl<C, R> fmt::Debug for PyannoteSignatureLayer<C, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PyannoteSignatureLayer")
            .field("verifier", &self.verifier)
            .field("limits", &self.limits)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

const DEFAULT_BUDGET: usize = 256 << 20;
