use std::collections::HashSet;
use std::fmt;

use super::causes::Cause;

/// One thing that a [`Doctor`](crate::Doctor) found. Its `Display` says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    name: &'static str,
    text: String,
}

impl Finding {
    pub(super) fn new(name: &'static str, text: String) -> Self {
        Self { name, text }
    }

    /// Makes a finding of a cause and what its sentence begins with.
    pub(super) fn of(subject: &str, Cause(name, text): Cause) -> Self {
        Self::new(name, format!("{subject} {text}"))
    }

    /// Returns the stable name in snake case, such as `secret_quoted`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.name
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Why a receiver refuses a delivery, or that it accepts it. Its `Display` prints one finding per line, the name first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Diagnosis {
    findings: Vec<Finding>,
    secret_index: Option<usize>,
}

impl Diagnosis {
    /// Returns whether a receiver accepts the delivery. `verified` is then the only finding.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        self.findings.iter().any(|it| it.name == VERIFIED)
    }

    /// Returns whether the causes are proven: the last finding is then `matches_otherwise`.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.secret_index.is_some() && !self.is_verified()
    }

    /// Returns what was found, the most certain first; never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the index of the secret that signed the delivery, from 0, if one did.
    #[must_use]
    pub fn secret_index(&self) -> Option<usize> {
        self.secret_index
    }

    pub(super) fn new(mut findings: Vec<Finding>, secret_index: Option<usize>) -> Self {
        let mut seen = HashSet::new();
        findings.retain(|finding| seen.insert(finding.clone()));
        Self {
            findings,
            secret_index,
        }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.findings.iter().map(|it| format!("{}: {it}", it.name));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

pub(super) const VERIFIED: &str = "verified";
