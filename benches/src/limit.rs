//! The least work that every receiver must do.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::SECRET;

/// HMAC-SHA256, keyed once.
#[derive(Clone)]
pub struct BareHmac(Hmac<Sha256>);

impl BareHmac {
    pub fn new() -> Self {
        Self(Hmac::new_from_slice(SECRET.as_bytes()).expect("a key may have any length"))
    }

    /// Hashes the signed bytes: the timestamp with its separators, and the body.
    #[inline]
    pub fn digest(&self, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
        let mut hmac = self.0.clone();
        hmac.update(b"v0:");
        hmac.update(timestamp);
        hmac.update(b":");
        hmac.update(body);
        hmac.finalize().into_bytes().into()
    }
}

impl Default for BareHmac {
    fn default() -> Self {
        Self::new()
    }
}
