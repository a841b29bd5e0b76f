//! Finds out why a signature does not match.

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
use tower_pyannote::{SecretSet, Verifier};
use zeroize::Zeroizing;

use self::body::Body;
use self::causes::{NOTHING_MATCHES, SEARCH_CUT_SHORT};
use self::headers::Headers;
use self::search::Search;

pub(crate) use self::finding::{Diagnosis, Finding};

/// Finds out why a delivery is refused: reverts one known cause, then two, until the signature matches.
///
/// A match proves the causes. Without a match, the [`Diagnosis`] lists what looks wrong. The search hashes at most 8 GiB,
/// which takes about 10 s and suffices for a body of 512 KiB. Memory: at most four times the body, and 256 MiB.
///
/// A diagnosis contains no secret, no signature and no byte of the request.
#[derive(Clone)]
#[must_use]
pub(crate) struct Doctor {
    setting: Zeroizing<Vec<u8>>,
    tolerance: Duration,
    /// How many bytes the search may hash. Default: 8 GiB. The delivery as received is always checked.
    pub(crate) work_limit: usize,
}

impl Doctor {
    /// Makes a doctor with the secrets of a setting, separated by commas.
    ///
    /// The setting may be one that [`SecretSet`] refuses, for example because it is empty or has blanks around it.
    pub(crate) fn from_setting(value: impl Into<Vec<u8>>) -> Self {
        Self {
            setting: Zeroizing::new(value.into()),
            tolerance: Duration::from_secs(600),
            work_limit: usize::try_from(8_u64 << 30).unwrap_or(usize::MAX),
        }
    }

    /// Returns whether a [`Verifier`] with these secrets accepts the delivery, and if not, why.
    ///
    /// `headers` are all headers of the request, because those that are not signed give hints about the body.
    pub(crate) fn diagnose(&self, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Diagnosis {
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
        let keys = secrets().flat_map(|(index, it)| secret::keys(index, it, index < MAX_SECRETS));
        let keys: Vec<_> = keys.collect();
        let mut search = Search {
            keys: &keys,
            digests: &read.digests,
            body: &body,
            work: self.work_limit,
            is_short: body.json.as_ref().is_some_and(|json| json.is_short),
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

    /// Checks the delivery as a receiver does. A receiver does not start with a secret that is refused.
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
const MAX_SECRETS: usize = 8;
