use std::fmt;

use super::Finding;

/// Why a delivery is refused, or that it is not, from [`Doctor::diagnose`](crate::Doctor::diagnose).
///
/// Its `Display` is one finding a line, the name first.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Diagnosis {
    findings: Vec<Finding>,
}

impl Diagnosis {
    /// Whether a receiver accepts the delivery.
    #[must_use]
    pub fn is_verified(&self) -> bool {
        matches!(self.findings[..], [Finding::Verified { .. }])
    }

    /// Whether the findings before [`Finding::MatchesOtherwise`] are proven: without them, the delivery is accepted.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.secret_index().is_some() && !self.is_verified()
    }

    /// What was found, the most certain first; never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Which of the secrets signed the delivery, from 0, if one did.
    #[must_use]
    pub fn secret_index(&self) -> Option<usize> {
        self.findings.iter().find_map(|finding| match *finding {
            Finding::Verified { secret_index } | Finding::MatchesOtherwise { secret_index } => {
                Some(secret_index)
            }
            _ => None,
        })
    }

    pub(super) fn verified(secret_index: usize) -> Self {
        Self::of([Finding::Verified { secret_index }])
    }

    pub(super) fn explained(seen: Vec<Finding>, proven: Vec<Finding>, secret_index: usize) -> Self {
        let outcome = Finding::MatchesOtherwise { secret_index };
        Self::of(seen.into_iter().chain(proven).chain([outcome]))
    }

    pub(super) fn unexplained(seen: Vec<Finding>, hints: Vec<Finding>) -> Self {
        Self::of(seen.into_iter().chain(hints))
    }

    fn of(found: impl IntoIterator<Item = Finding>) -> Self {
        let mut findings = Vec::new();
        for finding in found {
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Self { findings }
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.findings.iter().enumerate() {
            let line_end = if index > 0 { "\n" } else { "" };
            write!(f, "{line_end}{}: {finding}", finding.as_str())?;
        }
        Ok(())
    }
}
