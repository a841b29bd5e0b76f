mod error;
mod timestamp;
mod verification;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::secret::SecretSet;
use crate::signature::{Signature, SigningKey};

use self::timestamp::Timestamp;
pub use self::{
    error::VerifyError,
    verification::{Mismatch, Verification, Verified},
};

/// Verifies that a delivery was signed with one of a set of secrets, and recently.
///
/// It does no I/O, and the current time is an argument. The checks, in this order:
///
/// 1. There is exactly one timestamp and exactly one signature.
/// 2. The timestamp is 1 to 19 ASCII digits, without sign or white space.
/// 3. [`Signature::parse`] accepts the signature.
/// 4. The timestamp is at most the tolerance older or newer than now. The default is 600 s, because the last of pyannoteAI's
///    retries arrives about 400 s after the first attempt and may carry the first attempt's timestamp.
/// 5. The signature is the HMAC-SHA256 of `v0:`, the timestamp as sent, `:` and the body. The comparison takes constant time.
///    Each further secret is tried only if those before did not match.
///
/// # Example
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use tower_pyannote::{SigningKey, Verifier, WebhookSecret, verify::VerifyError};
///
/// let secret = WebhookSecret::new("whs_example")?;
/// let verifier = Verifier::new(secret.clone());
///
/// let body = br#"{"jobId":"1","status":"succeeded"}"#;
/// let signature = SigningKey::new(&secret).sign("1767225600", body).to_hex();
/// let now = UNIX_EPOCH + Duration::from_secs(1_767_225_603);
///
/// let verified = verifier.verify([&b"1767225600"[..]], [signature.as_bytes()], body, now)?;
/// assert_eq!(verified.secret_index(), 0);
///
/// let forged = br#"{"jobId":"1","status":"failed"}"#;
/// let error = verifier.verify([&b"1767225600"[..]], [signature.as_bytes()], forged, now);
/// assert_eq!(error.unwrap_err(), VerifyError::SignatureMismatch);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Verifier {
    keys: Arc<[SigningKey]>,
    past: Duration,
    future: Duration,
}

impl Verifier {
    /// Creates a verifier with a tolerance of 600 s for past and future.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        Self {
            keys: secrets.into().iter().map(SigningKey::new).collect(),
            past: DEFAULT_TOLERANCE,
            future: DEFAULT_TOLERANCE,
        }
    }

    /// Sets how much older and how much newer than now a timestamp may be, bounds included. The default is 600 s.
    ///
    /// Below 400 s, the last of pyannoteAI's retries may be refused. A captured delivery can be replayed for as long as the
    /// tolerance.
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        self.with_past_tolerance(tolerance)
            .with_future_tolerance(tolerance)
    }

    /// Sets how much older than now a timestamp may be. The default is 600 s.
    pub fn with_past_tolerance(mut self, tolerance: Duration) -> Self {
        self.past = tolerance;
        self
    }

    /// Sets how much newer than now a timestamp may be, for a clock that is behind. The default is 600 s.
    pub fn with_future_tolerance(mut self, tolerance: Duration) -> Self {
        self.future = tolerance;
        self
    }

    /// Verifies a delivery whose whole body is in memory.
    ///
    /// `timestamps` and `signatures` are the values of all `X-Request-Timestamp` and all `X-Signature` headers.
    ///
    /// # Errors
    ///
    /// Returns the first check that failed.
    pub fn verify<'a>(
        &self,
        timestamps: impl IntoIterator<Item = &'a [u8]>,
        signatures: impl IntoIterator<Item = &'a [u8]>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verified, VerifyError> {
        let (timestamp, signature) = self.check_headers(timestamps, signatures, now)?;
        let matches = |key: &SigningKey| key.sign(timestamp.as_bytes(), body).matches(&signature);
        let secret_index = self.keys.iter().position(matches);
        Ok(Verified {
            timestamp: timestamp.seconds,
            secret_index: secret_index.ok_or(VerifyError::SignatureMismatch)?,
            encoding: signature.encoding(),
        })
    }

    /// Checks the headers of a delivery, and starts to hash a body that arrives in pieces.
    ///
    /// # Errors
    ///
    /// Returns the first check of the headers that failed, never [`VerifyError::SignatureMismatch`].
    ///
    /// # Example: a body in pieces
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use tower_pyannote::{SigningKey, Verifier, WebhookSecret};
    /// # let secret = WebhookSecret::new("whs_example")?;
    /// # let verifier = Verifier::new(secret.clone());
    /// # let signature = SigningKey::new(&secret).sign("1767225600", b"{}").to_hex();
    /// # let now = UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    /// let pieces = [&b"{"[..], b"}"];
    /// let mut verification = verifier.start([&b"1767225600"[..]], [signature.as_bytes()], now)?;
    /// let verified = loop {
    ///     pieces.iter().for_each(|piece| verification.update(piece));
    ///     match verification.finish() {
    ///         Ok(verified) => break verified,
    ///         // Only with several secrets: hash the same body again.
    ///         Err(mismatch) => verification = mismatch.next_secret()?,
    ///     }
    /// };
    /// # assert_eq!(verified.secret_index(), 0);
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn start<'a>(
        &self,
        timestamps: impl IntoIterator<Item = &'a [u8]>,
        signatures: impl IntoIterator<Item = &'a [u8]>,
        now: SystemTime,
    ) -> Result<Verification, VerifyError> {
        let (timestamp, signature) = self.check_headers(timestamps, signatures, now)?;
        Verification::under(Arc::clone(&self.keys), 0, timestamp, signature)
    }

    fn check_headers<'a>(
        &self,
        timestamps: impl IntoIterator<Item = &'a [u8]>,
        signatures: impl IntoIterator<Item = &'a [u8]>,
        now: SystemTime,
    ) -> Result<(Timestamp, Signature), VerifyError> {
        let timestamp = only(
            timestamps,
            VerifyError::MissingTimestamp,
            VerifyError::DuplicateTimestamp,
        )?;
        let signature = only(
            signatures,
            VerifyError::MissingSignature,
            VerifyError::DuplicateSignature,
        )?;
        let timestamp = Timestamp::parse(timestamp)?;
        let signature = Signature::parse(signature)?;
        self.check_freshness(timestamp.seconds, now)?;
        Ok((timestamp, signature))
    }

    fn check_freshness(&self, timestamp: u64, now: SystemTime) -> Result<(), VerifyError> {
        let timestamp = Duration::from_secs(timestamp);
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        if now.saturating_sub(timestamp) > self.past {
            return Err(VerifyError::StaleTimestamp);
        }
        if timestamp.saturating_sub(now) > self.future {
            return Err(VerifyError::FutureTimestamp);
        }
        Ok(())
    }
}

fn only<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    missing: VerifyError,
    duplicate: VerifyError,
) -> Result<&'a [u8], VerifyError> {
    let mut values = values.into_iter();
    let value = values.next().ok_or(missing)?;
    match values.next() {
        None => Ok(value),
        Some(_) => Err(duplicate),
    }
}

const DEFAULT_TOLERANCE: Duration = Duration::from_secs(600);
