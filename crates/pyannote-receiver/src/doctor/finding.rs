use std::collections::HashSet;
use std::fmt;

use super::causes::Cause;

/// One thing that a [`Doctor`](super::Doctor) found. Its `Display` says what it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Finding {
    /// The stable name in snake case, such as `secret_quoted`.
    pub(crate) name: &'static str,
    text: String,
}

impl Finding {
    pub(super) fn new(name: &'static str, text: String) -> Self {
        Self { name, text }
    }

    /// Returns the finding of a cause in `subject`, which begins the sentence.
    pub(super) fn of(subject: &str, Cause(name, text): Cause) -> Self {
        Self::new(name, format!("{subject} {text}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The findings about a delivery. Its `Display` prints one a line: the name, then the sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Diagnosis {
    /// The most certain finding first; never empty.
    pub(crate) findings: Vec<Finding>,
    /// The index of the secret that signed the delivery, from 0.
    pub(crate) secret: Option<usize>,
}

impl Diagnosis {
    /// Returns whether a receiver accepts the delivery. `verified` is then the only finding.
    #[must_use]
    pub(crate) fn is_verified(&self) -> bool {
        self.secret.is_some() && self.findings.iter().any(|it| it.name == VERIFIED)
    }

    pub(super) fn new(mut findings: Vec<Finding>, secret: Option<usize>) -> Self {
        let mut seen = HashSet::new();
        findings.retain(|finding| seen.insert(finding.clone()));
        Self { findings, secret }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.findings.iter().map(|it| format!("{}: {it}", it.name));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

pub(super) const VERIFIED: &str = "verified";
