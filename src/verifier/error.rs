use std::fmt;

use crate::signature::ParseSignatureError;

/// Why a delivery was not verified.
///
/// It holds no part of a secret or of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VerifyError {
    /// There is no `X-Request-Timestamp`.
    MissingTimestamp,
    /// There is no `X-Signature`.
    MissingSignature,
    /// There is more than one `X-Request-Timestamp`.
    DuplicateTimestamp,
    /// There is more than one `X-Signature`.
    DuplicateSignature,
    /// The timestamp is not 1 to 19 ASCII digits.
    MalformedTimestamp,
    /// The signature is neither 64 hex digits nor 44 or 43 characters of base64.
    MalformedSignature,
    /// The timestamp is older than the tolerance allows.
    StaleTimestamp,
    /// The timestamp is newer than the tolerance allows.
    FutureTimestamp,
    /// The signature does not match the timestamp and body under any of the secrets.
    SignatureMismatch,
}

impl VerifyError {
    /// Returns the label for metrics and logs, in snake case.
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

impl From<ParseSignatureError> for VerifyError {
    fn from(_: ParseSignatureError) -> Self {
        Self::MalformedSignature
    }
}
