use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// An invalid field of a request, found before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    field: Cow<'static, str>,
    reason: &'static str,
}

impl InvalidRequest {
    /// Returns the field by the API's name, `voiceprints[3].label` for example.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// Returns what is wrong with the field, and what to do.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason
    }

    pub(crate) fn new(field: impl Into<Cow<'static, str>>, reason: &'static str) -> Self {
        Self {
            field: field.into(),
            reason,
        }
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.reason)
    }
}

impl Error for InvalidRequest {}
