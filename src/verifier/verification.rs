use std::sync::Arc;

use super::{VerifyError, timestamp::Timestamp};
use crate::signature::{Signature, SignatureEncoding, Signer, SigningKey};

/// A verification whose headers passed and whose body is being hashed; [`Verifier::start`](crate::Verifier::start) creates it.
#[derive(Debug)]
#[must_use]
pub struct Verification {
    signer: Signer,
    secret_index: usize,
    keys: Arc<[SigningKey]>,
    timestamp: Timestamp,
    signature: Signature,
}

impl Verification {
    /// Hashes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.signer.update(piece);
    }

    /// Compares the received signature with that of all pieces, in the order in which they were hashed.
    ///
    /// # Errors
    ///
    /// Returns [`Mismatch`] if the signature does not match under this secret; [`Mismatch::next_secret`] tries the next one.
    pub fn finish(self) -> Result<Verified, Mismatch> {
        let expected = self.signer.finish();
        if !expected.matches(&self.signature) {
            return Err(Mismatch {
                secret_index: self.secret_index,
                keys: self.keys,
                timestamp: self.timestamp,
                signature: self.signature,
            });
        }
        Ok(Verified {
            timestamp: self.timestamp.seconds,
            secret_index: self.secret_index,
            encoding: self.signature.encoding(),
        })
    }

    pub(super) fn under(
        keys: Arc<[SigningKey]>,
        secret_index: usize,
        timestamp: Timestamp,
        signature: Signature,
    ) -> Result<Self, VerifyError> {
        let key = keys
            .get(secret_index)
            .ok_or(VerifyError::SignatureMismatch)?;
        Ok(Self {
            signer: key.start(timestamp.as_bytes()),
            secret_index,
            keys,
            timestamp,
            signature,
        })
    }
}

/// A signature that does not match under one secret; [`Verification::finish`] returns it.
#[derive(Debug)]
pub struct Mismatch {
    secret_index: usize,
    keys: Arc<[SigningKey]>,
    timestamp: Timestamp,
    signature: Signature,
}

impl Mismatch {
    /// Starts again under the next secret of the set. The whole body must be hashed again.
    ///
    /// # Errors
    ///
    /// Returns [`VerifyError::SignatureMismatch`] if all secrets have been tried.
    pub fn next_secret(self) -> Result<Verification, VerifyError> {
        Verification::under(
            self.keys,
            self.secret_index + 1,
            self.timestamp,
            self.signature,
        )
    }
}

/// The proof that a signature matched, with the timestamp, secret and encoding of the delivery.
///
/// Only [`Verifier::verify`](crate::Verifier::verify) and [`Verification::finish`] create it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    pub(super) timestamp: u64,
    pub(super) secret_index: usize,
    pub(super) encoding: SignatureEncoding,
}

impl Verified {
    /// Returns when the delivery was signed, in Unix seconds.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// Returns the index of the matching secret in the [`SecretSet`](crate::SecretSet), from 0. If it is always 0, remove the other secrets.
    #[must_use]
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }

    /// Returns how the signature was encoded.
    #[must_use]
    pub fn encoding(&self) -> SignatureEncoding {
        self.encoding
    }
}
