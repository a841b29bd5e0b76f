//! Why a signature does not match.

mod body;
mod codings;
mod diagnosis;
mod finding;
mod json;
mod scheme;
mod search;
mod secret;
mod signature;
mod style;
mod text;
mod times;
mod timestamp;

use std::fmt;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use zeroize::Zeroizing;

use self::search::{Search, Work};
use self::secret::Key;
use crate::headers::{SIGNATURE, TIMESTAMP, values};
use crate::secret::{SecretSet, WebhookSecret};
use crate::verifier::{DEFAULT_TOLERANCE, Verified, Verifier};

pub use self::body::{BodyFault, ContentCoding};
pub use self::diagnosis::Diagnosis;
pub use self::finding::Finding;
pub use self::scheme::SchemeFault;
pub use self::secret::SecretFault;
pub use self::signature::SignatureFault;
pub use self::style::{JsonLayout, JsonNumbers, JsonStrings, JsonStyle};
pub use self::timestamp::TimestampFault;

/// Says why a delivery is refused, by undoing what is known to go wrong until the signature matches.
///
/// It is pure: no I/O, and the time is an argument. What it tries:
///
/// 1. the delivery as it is, under each secret;
/// 2. one fault in the secret, or in what was signed: another scheme, a header that was quoted, joined or renamed;
/// 3. another timestamp, up to 10 s away from the one in the header;
/// 4. one fault in the body: re-serialised, decoded, compressed, extended, and what else [`BodyFault`] names;
/// 5. another timestamp, up to 600 s or by whole hours away;
/// 6. two of these at once: in the secret and the scheme, or in the body and one of them.
///
/// A match is a proof, so what led to it comes first in the [`Diagnosis`]; where nothing matches, what is conspicuous does.
///
/// # Bounds
///
/// All of it hashes at most 8 GiB, where to write a body anew counts as six hashes of it: some ten seconds, see
/// [`with_work_limit`](Self::with_work_limit). That is everything above for a body of a megabyte. A larger one has fewer of
/// the later tries, 64 hashes in all at 128 MiB, and the diagnosis ends with [`Finding::SearchCutShort`]. Faults are looked
/// for in the first eight secrets. Beside the body it holds at most two more of its size, and what unpacks to more than
/// 128 MiB is given up.
///
/// # Who may see it
///
/// A diagnosis holds no secret, no signature and no byte of the request. It is for whoever runs the receiver: answered to
/// a sender, it would tell a forger what to try next.
///
/// # Example
///
/// ```
/// use std::time::{Duration, UNIX_EPOCH};
/// use http::HeaderMap;
/// use tower_pyannote::{Doctor, Finding, BodyFault, SigningKey, WebhookSecret};
///
/// let secret = WebhookSecret::new("whs_example")?;
/// let signature = SigningKey::new(&secret).sign("1767225600", br#"{"jobId": "1", "status": "succeeded"}"#);
/// let mut headers = HeaderMap::new();
/// headers.insert("x-request-timestamp", "1767225600".parse()?);
/// headers.insert("x-signature", signature.to_hex().parse()?);
///
/// // What a framework made of it that parsed the body and wrote it again.
/// let body = br#"{"jobId":"1","status":"succeeded"}"#;
/// let now = UNIX_EPOCH + Duration::from_secs(1_767_225_603);
/// let diagnosis = Doctor::new(secret).diagnose(&headers, body, now);
///
/// assert!(!diagnosis.is_verified());
/// assert!(matches!(diagnosis.findings()[0], Finding::Body(BodyFault::Reserialised(_))));
/// assert!(matches!(diagnosis.findings()[1], Finding::MatchesOtherwise { secret_index: 0, .. }));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Doctor {
    secrets: Vec<Zeroizing<Vec<u8>>>,
    past: Duration,
    future: Duration,
    work_limit: u64,
}

impl Doctor {
    /// A doctor who knows these secrets, with the default tolerance of 600 s.
    pub fn new(secrets: impl Into<SecretSet>) -> Self {
        let secrets = secrets.into();
        Self::knowing(
            secrets
                .iter()
                .map(|secret| Zeroizing::new(secret.as_bytes().to_vec()))
                .collect(),
        )
    }

    /// A doctor who knows the secrets as they stand in a setting: one, or several with a comma between them.
    ///
    /// Other than a [`SecretSet`], the setting may be one that a receiver refuses, with blanks around it or empty.
    pub fn from_setting(value: impl Into<Vec<u8>>) -> Self {
        let value = Zeroizing::new(value.into());
        Self::knowing(
            value
                .split(|&byte| byte == b',')
                .map(|secret| Zeroizing::new(secret.to_vec()))
                .collect(),
        )
    }

    /// Sets how much older and how much newer than now a timestamp may be, 600 s by default, as the [`Verifier`] has it.
    pub fn with_tolerance(self, tolerance: Duration) -> Self {
        self.with_past_tolerance(tolerance)
            .with_future_tolerance(tolerance)
    }

    /// Sets how much older than now a timestamp may be, 600 s by default.
    pub fn with_past_tolerance(mut self, tolerance: Duration) -> Self {
        self.past = tolerance;
        self
    }

    /// Sets how much newer than now a timestamp may be, 600 s by default.
    pub fn with_future_tolerance(mut self, tolerance: Duration) -> Self {
        self.future = tolerance;
        self
    }

    /// Sets how many bytes may be hashed in search of what went wrong, 8 GiB by default.
    ///
    /// The delivery as it is, under each secret, is checked whatever the limit.
    pub fn with_work_limit(mut self, bytes: u64) -> Self {
        self.work_limit = bytes;
        self
    }

    /// Says whether the delivery is verified, and if not, why.
    ///
    /// It is verified exactly if a [`Verifier`] of the same secrets and tolerance accepts it. `headers` are those of the
    /// request; others than the two that are signed give hints at what happened to the body.
    pub fn diagnose(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Diagnosis {
        if let Some(verified) = self.verify(headers, body, now) {
            return Diagnosis::verified(verified.secret_index());
        }
        let timestamps = times::read(headers, now, self.past, self.future);
        let signatures = signature::read(headers);
        let secrets = self.secrets.iter().enumerate();
        let unusable = secrets
            .clone()
            .filter_map(|(index, secret)| secret::unusable(index, secret));
        let faults: Vec<Finding> = unusable
            .chain(timestamps.faults.iter().copied().map(Finding::Timestamp))
            .chain(signatures.faults.iter().copied().map(Finding::Signature))
            .collect();
        if signatures.digests.is_empty() {
            return Diagnosis::unexplained(faults, body::hints(headers, body));
        }

        let keys: Vec<Key> = secrets
            .flat_map(|(index, secret)| secret::keys(index, secret, index < MOST_SECRETS))
            .collect();
        let mut search = Search {
            keys: &keys,
            heads: scheme::heads(&timestamps.texts),
            digests: &signatures.digests,
            body,
            work: Work::new(self.work_limit),
        };
        if let Some(found) = search.run(&body::suspects(headers, body), timestamps.near) {
            return Diagnosis::explained(faults, found.faults, found.secret_index);
        }
        let mut hints = body::hints(headers, body);
        hints.push(Finding::NothingMatches);
        let unlike = self.secrets.iter().enumerate();
        hints.extend(unlike.filter_map(|(index, secret)| secret::unlike(index, secret)));
        if search.work.is_short() {
            hints.push(Finding::SearchCutShort);
        }
        Diagnosis::unexplained(faults, hints)
    }

    fn knowing(secrets: Vec<Zeroizing<Vec<u8>>>) -> Self {
        Self {
            secrets,
            past: DEFAULT_TOLERANCE,
            future: DEFAULT_TOLERANCE,
            work_limit: DEFAULT_WORK_LIMIT,
        }
    }

    /// Says what the receiver says; one whose secrets are refused does not even start.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<Verified> {
        let mut secrets = self
            .secrets
            .iter()
            .map(|secret| WebhookSecret::new(secret.to_vec()).ok());
        let first = SecretSet::new(secrets.next()??);
        let secrets = secrets.try_fold(first, |set, secret| Some(set.add_secret(secret?)))?;
        Verifier::new(secrets)
            .with_past_tolerance(self.past)
            .with_future_tolerance(self.future)
            .verify(
                values(headers, &TIMESTAMP),
                values(headers, &SIGNATURE),
                body,
                now,
            )
            .ok()
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("secrets", &self.secrets.len())
            .field("past", &self.past)
            .field("future", &self.future)
            .field("work_limit", &self.work_limit)
            .finish()
    }
}

const DEFAULT_WORK_LIMIT: u64 = 8 << 30;
const MOST_SECRETS: usize = 8;
