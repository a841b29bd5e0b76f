//! Verified, typed pyannoteAI webhooks for any tower-based server.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    warn(clippy::as_conversions, clippy::print_stdout, clippy::unwrap_used)
)]

mod secret;
mod signature;
mod verifier;

pub use self::secret::{SecretError, SecretErrorKind, SecretSet, WebhookSecret};
pub use self::signature::{Signature, SignatureEncoding, Signer, SigningKey};
pub use self::verifier::{Mismatch, Verification, Verified, Verifier, VerifyError};
