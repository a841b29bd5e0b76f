//! What the tests and the fuzzer look at.

use std::fmt;

use super::{Diagnosis, Doctor, Finding};

impl Doctor {
    /// Sets how many bytes the search may hash. Default: 8 GiB. The delivery as received is always checked.
    pub fn with_work_limit(mut self, bytes: usize) -> Self {
        self.work_limit = bytes;
        self
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

impl Diagnosis {
    /// Returns whether the causes are proven: the last finding is then `matches_otherwise`.
    #[must_use]
    pub fn is_explained(&self) -> bool {
        self.secret.is_some() && !self.is_verified()
    }

    /// Returns the findings, the most certain first. Never empty.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Returns the index of the secret that signed the delivery, from 0, if one did.
    #[must_use]
    pub fn secret_index(&self) -> Option<usize> {
        self.secret
    }
}

impl Finding {
    /// Returns the stable name in snake case, such as `secret_quoted`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        self.name
    }
}
