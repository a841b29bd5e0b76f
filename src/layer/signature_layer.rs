use std::fmt;
use std::time::Duration;

use crate::clock::SystemClock;
use crate::error::ConfigError;
use crate::secret::SecretSet;
use crate::verifier::Verifier;

use super::{budget::ByteBudget, limits::Limits, rejection::DefaultResponseForRejection};

/// Layer that applies the [`VerifySignature`](super::VerifySignature) middleware. The middleware passes on only
/// requests that pyannoteAI signed, and puts a [`WebhookEvent`](crate::WebhookEvent) into the request's extensions.
///
/// See the [crate docs](crate) for the checks and an example.
///
/// Put the layer outside of middleware that changes the body, such as decompression, because the signature is over the
/// bytes as sent. The default [`Clock`](crate::clock::Clock) is [`SystemClock`]. Its timer needs a tokio runtime when a
/// body does not arrive at once.
///
/// # Setters
///
/// A setter that accepts every value returns `Self`. A setter that refuses some values returns
/// `Result<Self, ConfigError>`, so that a wrong setting fails at start. All `with_*` methods of this crate follow this rule.
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
    /// Creates a layer that accepts deliveries signed with any of `secrets`. Each setter states its default.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        Self::from_verifier(Verifier::new(secrets))
    }

    /// Creates a layer that accepts the deliveries that `verifier` accepts.
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
    /// Sets how much older and how much newer than now a timestamp may be. The default is 600 s; see
    /// [`Verifier::with_tolerance`].
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.verifier = self.verifier.with_tolerance(tolerance);
        self
    }

    /// Sets the maximum length of a body, in bytes. The default is 128 MiB, because a day of audio with score curves
    /// takes over 64 MiB.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroBodyLimit`] if the limit is 0, and [`ConfigError::BodyLimitOverBudget`] if it is over the
    /// byte budget.
    pub fn with_body_limit(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            return Err(ConfigError::ZeroBodyLimit);
        }
        self.limits.body = bytes;
        self.check_budget()
    }

    /// Sets how many bytes all bodies in flight may hold together. The default is 256 MiB; see [`ByteBudget`].
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::BodyLimitOverBudget`] if the budget is under the body limit.
    pub fn with_byte_budget(mut self, budget: ByteBudget) -> Result<Self, ConfigError> {
        self.budget = budget;
        self.check_budget()
    }

    /// Sets how long a frame waits for the byte budget before the request is refused with 503. The default is 5 s.
    ///
    /// A wait over 10 s does not help, because pyannoteAI gives up after 10 s.
    pub fn with_budget_wait(mut self, wait: Duration) -> Self {
        self.limits.budget_wait = wait;
        self
    }

    /// Sets how long the whole body may take to arrive. The default is 30 s. A slower body is refused with 408, or with 503 if
    /// it was waiting for the byte budget.
    ///
    /// The time starts when the body is first pending, and includes waits for the budget.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError::ZeroTimeout`] if the timeout is zero.
    pub fn with_body_read_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout {
                setting: "body_read_timeout",
            });
        }
        self.limits.read_timeout = timeout;
        Ok(self)
    }

    /// Sets the minimum rate of a body, in bytes per second, averaged over 5 s. The default is 16 KiB per second. A
    /// slower body is refused with 408. 0 allows every rate.
    pub fn with_least_rate(mut self, bytes_per_second: u32) -> Self {
        self.limits.least_rate = bytes_per_second;
        self
    }

    /// Sets the clock. The default is [`SystemClock`].
    pub fn with_clock<C2>(self, clock: C2) -> PyannoteSignatureLayer<C2, R> {
        PyannoteSignatureLayer {
            verifier: self.verifier,
            limits: self.limits,
            budget: self.budget,
            clock,
            rejection_response: self.rejection_response,
        }
    }

    /// Sets the builder of responses to refused requests. The default is [`DefaultResponseForRejection`].
    ///
    /// The layer adds the [`Rejection`](super::Rejection) to the extensions of every such response.
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
