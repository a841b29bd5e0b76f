use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::secret::SecretSet;
use crate::signature::{Signature, SignatureEncoding, Signer, SigningKey};

/// Tells whether a delivery was signed with one of a set of secrets, and lately.
///
/// It is pure: no I/O, and the time is an argument. What is checked, in this order:
///
/// 1. There is exactly one timestamp and exactly one signature.
/// 2. The timestamp is 1 to 19 ASCII digits: no sign, no blanks.
/// 3. The signature is one that [`Signature::parse`] takes.
/// 4. The timestamp is at most the tolerance older or newer than now: 600 s by default, as the last of pyannoteAI's
///    retries comes about 400 s after the first attempt and may carry the first attempt's timestamp.
/// 5. The signature is the HMAC-SHA256 of `v0:`, the timestamp's own bytes, `:` and the body, compared in constant time;
///    secrets after the first are tried only when those before did not match.
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
    /// A verifier of these secrets, with the default tolerance of 600 s for past and future.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        Self {
            keys: secrets.into().iter().map(SigningKey::new).collect(),
            past: DEFAULT_TOLERANCE,
            future: DEFAULT_TOLERANCE,
        }
    }

    /// Sets how much older and how much newer than now a timestamp may be, 600 s by default; the bound itself is fresh.
    ///
    /// Less than 400 s may refuse the last of pyannoteAI's retries. The longer it is, the longer a captured delivery can
    /// be sent again.
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        self.with_past_tolerance(tolerance)
            .with_future_tolerance(tolerance)
    }

    /// Sets how much older than now a timestamp may be, 600 s by default.
    pub fn with_past_tolerance(mut self, tolerance: Duration) -> Self {
        self.past = tolerance;
        self
    }

    /// Sets how much newer than now a timestamp may be, 600 s by default; it allows for a clock that is behind.
    pub fn with_future_tolerance(mut self, tolerance: Duration) -> Self {
        self.future = tolerance;
        self
    }

    /// Checks a delivery whose body is at hand.
    ///
    /// `timestamps` and `signatures` are the values of all `X-Request-Timestamp` and all `X-Signature` headers.
    ///
    /// # Errors
    ///
    /// The first check that failed.
    pub fn verify<'a>(
        &self,
        timestamps: impl IntoIterator<Item = &'a [u8]>,
        signatures: impl IntoIterator<Item = &'a [u8]>,
        body: &[u8],
        now: SystemTime,
    ) -> Result<Verified, VerifyError> {
        let (timestamp, signature) = self.check_head(timestamps, signatures, now)?;
        let matches = |key: &SigningKey| key.sign(timestamp.as_bytes(), body).matches(&signature);
        let secret_index = self.keys.iter().position(matches);
        Ok(Verified {
            timestamp: timestamp.seconds,
            secret_index: secret_index.ok_or(VerifyError::SignatureMismatch)?,
            encoding: signature.encoding(),
        })
    }

    /// Checks the head of a delivery, and begins to hash a body that arrives in pieces.
    ///
    /// # Errors
    ///
    /// The first check of the head that failed: never [`VerifyError::SignatureMismatch`].
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
    ///         // Only with several secrets: the same body, once more.
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
        let (timestamp, signature) = self.check_head(timestamps, signatures, now)?;
        Verification::under(Arc::clone(&self.keys), 0, timestamp, signature)
    }

    fn check_head<'a>(
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

/// A verification under way, from [`Verifier::start`]: the head is good, the body is being hashed.
#[derive(Debug)]
#[must_use]
pub struct Verification {
    signer: Signer,
    secret_index: usize,
    keys: Arc<[SigningKey]>,
    timestamp: Timestamp,
    signature: Signature,
}

impl Verification {
    /// Hashes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.signer.update(piece);
    }

    /// Compares the signature of all pieces, in the order they came.
    ///
    /// # Errors
    ///
    /// The signature does not match under this secret: [`Mismatch::next_secret`] tries the next one.
    pub fn finish(self) -> Result<Verified, Mismatch> {
        let expected = self.signer.finish();
        if !expected.matches(&self.signature) {
            return Err(Mismatch {
                secret_index: self.secret_index,
                keys: self.keys,
                timestamp: self.timestamp,
                signature: self.signature,
            });
        }
        Ok(Verified {
            timestamp: self.timestamp.seconds,
            secret_index: self.secret_index,
            encoding: self.signature.encoding(),
        })
    }

    fn under(
        keys: Arc<[SigningKey]>,
        secret_index: usize,
        timestamp: Timestamp,
        signature: Signature,
    ) -> Result<Self, VerifyError> {
        let key = keys
            .get(secret_index)
            .ok_or(VerifyError::SignatureMismatch)?;
        Ok(Self {
            signer: key.start(timestamp.as_bytes()),
            secret_index,
            keys,
            timestamp,
            signature,
        })
    }
}

/// A signature that does not match under one secret, from [`Verification::finish`].
#[derive(Debug)]
pub struct Mismatch {
    secret_index: usize,
    keys: Arc<[SigningKey]>,
    timestamp: Timestamp,
    signature: Signature,
}

impl Mismatch {
    /// Begins again under the next secret of the set; the body must be hashed once more.
    ///
    /// # Errors
    ///
    /// [`VerifyError::SignatureMismatch`] when all secrets have been tried.
    pub fn next_secret(self) -> Result<Verification, VerifyError> {
        Verification::under(
            self.keys,
            self.secret_index + 1,
            self.timestamp,
            self.signature,
        )
    }
}

/// What a verified delivery was signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    timestamp: u64,
    secret_index: usize,
    encoding: SignatureEncoding,
}

impl Verified {
    /// When the delivery was signed, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Which secret of the [`SecretSet`] matched, from 0: when it is always 0, the others can be retired.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }

    /// How the signature was written.
    #[must_use]
    pub fn encoding(&self) -> SignatureEncoding {
        self.encoding
    }
}

/// Why a delivery was not verified.
///
/// It holds static words only: neither the secret nor a signature, received or expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no `X-Request-Timestamp`.
    MissingTimestamp,
    /// There is no `X-Signature`.
    MissingSignature,
    /// There are several `X-Request-Timestamp`.
    DuplicateTimestamp,
    /// There are several `X-Signature`.
    DuplicateSignature,
    /// The timestamp is not 1 to 19 ASCII digits.
    MalformedTimestamp,
    /// The signature is neither 64 hex digits nor 44 or 43 characters of base64.
    MalformedSignature,
    /// The timestamp is older than the tolerance allows.
    StaleTimestamp,
    /// The timestamp is newer than the tolerance allows.
    FutureTimestamp,
    /// The signature is not that of this timestamp and body under any of the secrets.
    SignatureMismatch,
}

impl VerifyError {
    /// A word for it in snake case, as metrics and logs label it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MissingTimestamp => "missing_timestamp",
            Self::MissingSignature => "missing_signature",
            Self::DuplicateTimestamp => "duplicate_timestamp",
            Self::DuplicateSignature => "duplicate_signature",
            Self::MalformedTimestamp => "malformed_timestamp",
            Self::MalformedSignature => "malformed_signature",
            Self::StaleTimestamp => "stale_timestamp",
            Self::FutureTimestamp => "future_timestamp",
            Self::SignatureMismatch => "signature_mismatch",
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MissingTimestamp => "the x-request-timestamp header is missing",
            Self::MissingSignature => "the x-signature header is missing",
            Self::DuplicateTimestamp => "there is more than one x-request-timestamp header",
            Self::DuplicateSignature => "there is more than one x-signature header",
            Self::MalformedTimestamp => "the x-request-timestamp header is not 1 to 19 digits",
            Self::MalformedSignature => {
                "the x-signature header is neither 64 hex digits nor 44 or 43 characters of base64"
            }
            Self::StaleTimestamp => {
                "the timestamp is older than the tolerance allows; check this machine's clock"
            }
            Self::FutureTimestamp => {
                "the timestamp is newer than the tolerance allows; check this machine's clock"
            }
            Self::SignatureMismatch => "the signature does not match; check the webhook secret",
        })
    }
}

impl std::error::Error for VerifyError {}

/// A timestamp header's value and the bytes it came as, which are what is signed.
#[derive(Clone, Copy, Debug)]
struct Timestamp {
    seconds: u64,
    bytes: [u8; MAX_DIGITS],
    len: usize,
}

impl Timestamp {
    fn parse(value: &[u8]) -> Result<Self, VerifyError> {
        let mut bytes = [0; MAX_DIGITS];
        if value.is_empty() || value.len() > MAX_DIGITS {
            return Err(VerifyError::MalformedTimestamp);
        }
        let mut seconds = 0;
        for (kept, &byte) in bytes.iter_mut().zip(value) {
            if !byte.is_ascii_digit() {
                return Err(VerifyError::MalformedTimestamp);
            }
            // 19 digits stay below 10^19, which a u64 holds.
            seconds = seconds * 10 + u64::from(byte - b'0');
            *kept = byte;
        }
        Ok(Self {
            seconds,
            bytes,
            len: value.len(),
        })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
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
const MAX_DIGITS: usize = 19;
