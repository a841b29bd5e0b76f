//! Why a signature does not match.

mod body;
mod causes;
mod finding;
mod headers;
mod json;
mod search;
mod secret;
#[cfg(test)]
mod tests;
mod text;

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use zeroize::Zeroizing;

use self::body::Body;
use self::causes::{NOTHING_MATCHES, SEARCH_CUT_SHORT};
use self::headers::Headers;
use self::search::Search;
use tower_pyannote::{SecretSet, Verifier};

pub use self::finding::{Diagnosis, Finding};

/// Finds out why a delivery is refused: it undoes known causes until the signature matches.
///
/// It tries the delivery as it was received, then one cause in the secret, the headers, the timestamp, the signed message
/// or the body, then two of these. A match proves the causes. Without a match, the [`Diagnosis`] lists what is conspicuous.
///
/// The search hashes at most 8 GiB, see [`with_work_limit`](Self::with_work_limit), which takes about ten seconds and is
/// enough to try everything for a body of half a megabyte. If something was not tried, the last finding is
/// `search_cut_short`. Memory: at most four times the body and 256 MiB, however deep its JSON is.
///
/// A diagnosis holds no secret, no signature and no byte of the request. But do not send it to the sender, because it
/// tells a forger what to try next.
#[derive(Clone)]
#[must_use]
pub struct Doctor {
    setting: Zeroizing<Vec<u8>>,
    tolerance: Duration,
    work_limit: u64,
}

impl Doctor {
    /// Makes a doctor that knows the secrets of a setting: one, or several with commas between them.
    ///
    /// The setting may be one that a [`SecretSet`] refuses: with blanks around it, or empty.
    pub fn from_setting(value: impl Into<Vec<u8>>) -> Self {
        Self {
            setting: Zeroizing::new(value.into()),
            tolerance: Duration::from_secs(600),
            work_limit: 8 << 30,
        }
    }

    /// Sets how much older or newer than now a timestamp may be, 600 s by default, as in [`Verifier`].
    pub fn with_tolerance(mut self, tolerance: Duration) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Sets how many bytes the search may hash, 8 GiB by default.
    ///
    /// The delivery as it was received is checked whatever the limit.
    pub fn with_work_limit(mut self, bytes: u64) -> Self {
        self.work_limit = bytes;
        self
    }

    /// Returns whether the delivery is verified, and if not, why.
    ///
    /// It is verified exactly if a [`Verifier`] of the same secrets and tolerance accepts it. `headers` are all headers of
    /// the request, because those that are not signed give hints about the body.
    pub fn diagnose(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Diagnosis {
        if let Some(index) = self.verify(headers, body, now) {
            let accepted = signed(finding::VERIFIED, "the delivery is accepted", index);
            return Diagnosis::new(vec![accepted], Some(index));
        }
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let secrets = || self.secrets().enumerate();
        let unusable = secrets().filter_map(|(index, secret)| secret::unusable(index, secret));
        let read = Headers::read(headers, since_1970, self.tolerance);
        let mut findings: Vec<Finding> = unusable.chain(read.findings).collect();
        let body = Body::new(headers, body);
        if read.digests.is_empty() {
            findings.extend(body.hints());
            return Diagnosis::new(findings, None);
        }
        let keys = secrets().flat_map(|(index, it)| secret::keys(index, it, index < MOST_SECRETS));
        let keys: Vec<_> = keys.collect();
        let mut search = Search {
            keys: &keys,
            digests: &read.digests,
            body: &body,
            work: usize::try_from(self.work_limit).unwrap_or(usize::MAX),
            is_short: body.json.as_ref().is_some_and(|json| json.is_cut_short),
        };
        let near = read.time.unwrap_or(since_1970.as_secs());
        if let Some((proven, index)) = search.run(&read.timestamps, near) {
            findings.extend(proven);
            let outcome = "with the above undone the signature matches";
            findings.push(signed("matches_otherwise", outcome, index));
            return Diagnosis::new(findings, Some(index));
        }
        findings.extend(body.hints());
        findings.push(Finding::of("none", NOTHING_MATCHES));
        findings.extend(secrets().filter_map(|(index, secret)| secret::unlike(index, secret)));
        if search.is_short {
            findings.push(Finding::of("not everything", SEARCH_CUT_SHORT));
        }
        Diagnosis::new(findings, None)
    }

    fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        self.setting.split(|&byte| byte == b',')
    }

    /// Checks the delivery as a receiver does; with a secret that is refused, a receiver does not start.
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<usize> {
        let secrets = SecretSet::from_list(std::str::from_utf8(&self.setting).ok()?).ok()?;
        let values = |name| headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
        let verifier = Verifier::new(secrets).with_tolerance(self.tolerance);
        let verified = verifier.verify(values(TIMESTAMP), values(SIGNATURE), body, now);
        verified.ok().map(|verified| verified.secret_index())
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor")
            .field("secrets", &self.secrets().count())
            .field("tolerance", &self.tolerance)
            .field("work_limit", &self.work_limit)
            .finish()
    }
}

fn signed(name: &'static str, outcome: &str, index: usize) -> Finding {
    Finding::new(name, format!("{outcome}, under secret {}", index + 1))
}

const TIMESTAMP: &str = "x-request-timestamp";
const SIGNATURE: &str = "x-signature";
const MOST_SECRETS: usize = 8;
