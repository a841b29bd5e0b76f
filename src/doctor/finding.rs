use std::fmt;

use super::{BodyFault, SchemeFault, SecretFault, SignatureFault, TimestampFault};

/// One thing that a [`Doctor`](crate::Doctor) found; its `Display` says what to do about it.
///
/// It holds lengths, counts and times: no secret, no signature, and no byte of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finding {
    /// The delivery is accepted.
    #[non_exhaustive]
    Verified {
        /// Which of the secrets signed it, from 0.
        secret_index: usize,
    },
    /// Without the findings before this one, the signature is that of the delivery.
    #[non_exhaustive]
    MatchesOtherwise {
        /// Which of the secrets signed it, from 0.
        secret_index: usize,
    },
    /// Something is wrong with the timestamp.
    Timestamp(TimestampFault),
    /// Something is wrong with how the signature is written.
    Signature(SignatureFault),
    /// Something is wrong with a secret.
    #[non_exhaustive]
    Secret {
        /// Which of the secrets, from 0.
        index: usize,
        /// What is wrong with it.
        fault: SecretFault,
    },
    /// The signature is over something else than `v0:`, the timestamp, `:` and the body.
    Scheme(SchemeFault),
    /// Something is wrong with the body.
    Body(BodyFault),
    /// None of what is known to go wrong leads to this signature: a secret of another team, or a body changed in another
    /// way.
    NothingMatches,
    /// The body is so large that not everything was tried.
    SearchCutShort,
}

impl Finding {
    /// A word for it in snake case, which does not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::MatchesOtherwise { .. } => "matches_otherwise",
            Self::Timestamp(fault) => fault.as_str(),
            Self::Signature(fault) => fault.as_str(),
            Self::Secret { fault, .. } => fault.as_str(),
            Self::Scheme(fault) => fault.as_str(),
            Self::Body(fault) => fault.as_str(),
            Self::NothingMatches => "nothing_matches",
            Self::SearchCutShort => "search_cut_short",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified { secret_index } => {
                write!(f, "the delivery is accepted, under secret {}", secret_index + 1)
            }
            Self::MatchesOtherwise { secret_index } => write!(
                f,
                "with the above undone the signature matches, under secret {}",
                secret_index + 1
            ),
            Self::Timestamp(fault) => fault.fmt(f),
            Self::Signature(fault) => fault.fmt(f),
            Self::Secret { index, fault } => write!(f, "secret {} {fault}", index + 1),
            Self::Scheme(fault) => fault.fmt(f),
            Self::Body(fault) => fault.fmt(f),
            Self::NothingMatches => f.write_str(
                "nothing that is known to go wrong leads to this signature: compare the secret with the one in the \
                 dashboard of the team that submitted the job, and take the body from before anything has read it",
            ),
            Self::SearchCutShort => f.write_str(
                "the body is large, so not everything was tried: try a short delivery, or allow more work",
            ),
        }
    }
}
