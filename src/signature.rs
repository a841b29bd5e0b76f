use std::fmt;

use base64ct::Encoding as _;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::secret::WebhookSecret;

/// An `X-Signature` value: the HMAC-SHA256 digest of a delivery, and its encoding.
///
/// Only [`to_hex`](Self::to_hex) and [`to_base64`](Self::to_base64), which senders need, show the digest. `Debug` shows the
/// encoding alone. [`matches`](Self::matches) compares two signatures in constant time.
///
/// # Example
///
/// ```
/// use tower_pyannote::{Signature, verify::{ParseSignatureError, SignatureEncoding}};
///
/// let hex = "v0=".to_owned() + &"5f".repeat(32);
/// let signature = Signature::parse(hex.as_bytes())?;
/// assert_eq!(signature.encoding(), SignatureEncoding::Hex);
///
/// assert!(Signature::parse(b"5f").is_err());
/// # Ok::<_, ParseSignatureError>(())
/// ```
#[derive(Clone)]
pub struct Signature {
    digest: [u8; DIGEST],
    encoding: SignatureEncoding,
}

impl Signature {
    /// Parses 64 hex digits of either case, or 44 padded or 43 unpadded characters of standard base64, after an optional
    /// `v0=`.
    ///
    /// Decodes in constant time: the time depends only on the length and the validity of the value.
    ///
    /// # Errors
    ///
    /// Returns [`ParseSignatureError`] if the value is anything else. White space is not trimmed.
    pub fn parse(value: &[u8]) -> Result<Self, ParseSignatureError> {
        let digits = value.strip_prefix(b"v0=").unwrap_or(value);
        let mut digest = [0; DIGEST];
        let (encoding, decoded): (_, Option<&[u8]>) = match digits.len() {
            64 => (SignatureEncoding::Hex, decode_hex(digits, &mut digest)),
            44 => (
                SignatureEncoding::Base64,
                base64ct::Base64::decode(digits, &mut digest).ok(),
            ),
            43 => (
                SignatureEncoding::Base64,
                base64ct::Base64Unpadded::decode(digits, &mut digest).ok(),
            ),
            _ => return Err(ParseSignatureError),
        };
        match decoded.map(<[u8]>::len) {
            Some(DIGEST) => Ok(Self { digest, encoding }),
            _ => Err(ParseSignatureError),
        }
    }

    /// Returns how the signature was encoded.
    #[must_use]
    pub fn encoding(&self) -> SignatureEncoding {
        self.encoding
    }

    /// Returns whether both digests are equal, whatever their encodings. Takes the same time wherever they differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        self.digest.ct_eq(&other.digest).into()
    }

    /// Encodes the digest as 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        base16ct::lower::encode_string(&self.digest)
    }

    /// Encodes the digest as 44 characters of padded standard base64.
    #[must_use]
    pub fn to_base64(&self) -> String {
        base64ct::Base64::encode_string(&self.digest)
    }
}

/// Decodes hex digits of either case in constant time: no branch and no address depends on a digit.
///
/// base16ct decodes one digit at a time, which takes a third of the HMAC's time at 200 bytes. Compilers turn this loop into
/// vector instructions.
fn decode_hex<'a>(digits: &[u8], digest: &'a mut [u8; DIGEST]) -> Option<&'a [u8]> {
    let below = |value: u8, bound: u8| (value.wrapping_sub(bound) & !value) >> 7;
    let mut nibbles = [0; 2 * DIGEST];
    let mut wrong = 0;
    for (nibble, &digit) in nibbles.iter_mut().zip(digits) {
        let number = digit.wrapping_sub(b'0');
        let letter = (digit | 0x20).wrapping_sub(b'a');
        let (is_number, is_letter) = (below(number, 10), below(letter, 6));
        wrong |= (is_number | is_letter) ^ 1;
        let number = number & 0_u8.wrapping_sub(is_number);
        *nibble = number | (letter.wrapping_add(10) & 0_u8.wrapping_sub(is_letter));
    }
    for (byte, pair) in digest.iter_mut().zip(nibbles.chunks_exact(2)) {
        *byte = (pair[0] << 4) | pair[1];
    }
    (wrong == 0).then_some(digest)
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signature")
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// A value that is neither 64 hex digits nor 44 or 43 characters of base64; [`Signature::parse`] returns it.
///
/// It holds no byte of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ParseSignatureError;

impl fmt::Display for ParseSignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is neither 64 hex digits nor 44 or 43 characters of base64")
    }
}

impl std::error::Error for ParseSignatureError {}

/// The encoding of a signature. pyannoteAI's documentation describes base64, and its sample code compares hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SignatureEncoding {
    /// 64 hex digits.
    Hex,
    /// 44 or 43 characters of standard base64.
    Base64,
}

impl SignatureEncoding {
    /// Returns `hex` or `base64`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
        }
    }
}

/// A key to sign with: HMAC-SHA256, keyed once and copied for each delivery.
///
/// # Example: sign as pyannoteAI does
///
/// ```
/// use tower_pyannote::{SigningKey, WebhookSecret};
///
/// let key = SigningKey::new(&WebhookSecret::new("whs_example")?);
/// let signature = key.sign("1767225600", br#"{"jobId":"1","status":"succeeded"}"#);
/// assert_eq!(
///     signature.to_hex(),
///     "44643e17b92b647a457e627133f6c5b9cbc94f4d916d6f3cf1a4a20e705419cf"
/// );
/// # Ok::<_, tower_pyannote::verify::SecretError>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// Creates a key from a secret.
    #[must_use]
    pub fn new(secret: &WebhookSecret) -> Self {
        let keyed = Hmac::new_from_slice(secret.as_bytes());
        Self(keyed.expect("HMAC accepts a key of any length"))
    }

    /// Signs a body. `timestamp` is the value of the `X-Request-Timestamp` header, byte for byte.
    #[must_use]
    pub fn sign(&self, timestamp: impl AsRef<[u8]>, body: &[u8]) -> Signature {
        let mut signer = self.start(timestamp.as_ref());
        signer.update(body);
        signer.finish()
    }

    /// Starts to sign a body that arrives in pieces.
    pub fn start(&self, timestamp: &[u8]) -> Signer {
        let mut hmac = self.0.clone();
        hmac.update(VERSION);
        hmac.update(timestamp);
        hmac.update(b":");
        Signer(hmac)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

/// An unfinished signature; [`SigningKey::start`] creates it.
#[must_use]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// Hashes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Returns the signature of all pieces, in the order in which they were hashed.
    #[must_use]
    pub fn finish(self) -> Signature {
        Signature {
            digest: self.0.finalize().into_bytes().into(),
            encoding: SignatureEncoding::Hex,
        }
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer([redacted])")
    }
}

const VERSION: &[u8] = b"v0:";
const DIGEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_decoder_equals_base16ct_for_every_byte() {
        for byte in 0..=u8::MAX {
            for place in [0, 1, 31, 62, 63] {
                let mut digits =
                    *b"0123456789abcdefABCDEF0123456789abcdef0123456789ABCDEF0123456789";
                digits[place] = byte;
                let mut expected = [0; DIGEST];
                let decoded = base16ct::mixed::decode(digits, &mut expected).ok();
                assert_eq!(
                    decode_hex(&digits, &mut [0; DIGEST]),
                    decoded,
                    "{byte} at {place}"
                );
            }
        }
    }
}
