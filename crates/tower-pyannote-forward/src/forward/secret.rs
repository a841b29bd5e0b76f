use std::{fmt, sync::Arc};

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::config_error::ConfigError;

/// A secret of [Standard Webhooks](https://www.standardwebhooks.com), with which [`Forward`](crate::Forward) signs.
///
/// - `whsec_` and the base64 of 24 to 64 random bytes: HMAC-SHA256, signature `v1`. The consumer has the same secret. This
///   command makes one: `printf 'whsec_%s\n' "$(openssl rand -base64 32)"`.
/// - `whsk_` and the base64 of an ed25519 key, of 32 bytes, or 64 with the public key: signature `v1a`. The consumer has
///   the [public key](Self::public_key), and cannot sign. Few packages verify `v1a`.
///
/// `Debug` does not show the secret.
///
/// # Example
///
/// ```
/// use tower_pyannote_forward::SigningSecret;
///
/// let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
/// assert_eq!(format!("{secret:?}"), "SigningSecret([redacted])");
/// assert!(SigningSecret::new("whsec_c2hvcnQ=").is_err());
/// # Ok::<(), tower_pyannote_forward::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct SigningSecret(Key);

#[derive(Clone)]
enum Key {
    Hmac(Hmac<Sha256>),
    Ed25519(Arc<Ed25519KeyPair>),
}

impl SigningSecret {
    /// Parses a secret.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the secret is neither a `whsec_` nor a `whsk_` secret of a valid length. White space is
    /// not trimmed.
    pub fn new(secret: &str) -> Result<Self, ConfigError> {
        if let Some(encoded) = secret.strip_prefix("whsec_") {
            let bytes = decode(encoded)?;
            if !(24..=64).contains(&bytes.len()) {
                return Err(invalid(
                    "has not 24 to 64 bytes: make one of 32 random bytes",
                ));
            }
            let key =
                Hmac::new_from_slice(&bytes).map_err(|_| invalid("cannot be used as a key"))?;
            return Ok(Self(Key::Hmac(key)));
        }
        let encoded = secret.strip_prefix("whsk_").ok_or_else(|| {
            invalid("begins with neither whsec_ nor whsk_: give a secret of Standard Webhooks")
        })?;
        let bytes = decode(encoded)?;
        let pair = match bytes.split_at_checked(32) {
            Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
            Some((seed, public)) => Ed25519KeyPair::from_seed_and_public_key(seed, public),
            None => return Err(invalid("has neither 32 nor 64 bytes: give an ed25519 key")),
        };
        let pair = pair.map_err(|_| {
            invalid("is not an ed25519 key of 32 bytes, or of 64 bytes with its public key")
        })?;
        Ok(Self(Key::Ed25519(Arc::new(pair))))
    }

    /// Returns the public key of a `whsk_` secret, as `whpk_` and base64; `None` for a `whsec_` secret.
    #[must_use]
    pub fn public_key(&self) -> Option<String> {
        match &self.0 {
            Key::Hmac(_) => None,
            Key::Ed25519(pair) => {
                let public = Base64::encode_string(pair.public_key().as_ref());
                Some(format!("whpk_{public}"))
            }
        }
    }

    /// Signs `{id}.{timestamp}.{body}`, and returns the version of the signature, a comma and the signature.
    ///
    /// Ed25519 reads its message twice, so a `whsk_` secret copies the body.
    pub(crate) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        match &self.0 {
            Key::Hmac(keyed) => {
                let mut mac = keyed.clone();
                for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                    mac.update(part);
                }
                let signature = mac.finalize().into_bytes();
                format!("v1,{}", Base64::encode_string(&signature))
            }
            Key::Ed25519(pair) => {
                let message = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat();
                let signature = pair.sign(&message);
                format!("v1a,{}", Base64::encode_string(signature.as_ref()))
            }
        }
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret([redacted])")
    }
}

/// Decodes base64, with or without padding.
fn decode(encoded: &str) -> Result<Zeroizing<Vec<u8>>, ConfigError> {
    let decoded = match encoded.ends_with('=') {
        true => Base64::decode_vec(encoded),
        false => base64ct::Base64Unpadded::decode_vec(encoded),
    };
    decoded
        .map(Zeroizing::new)
        .map_err(|_| invalid("is not base64 after its prefix: copy it whole, without white space"))
}

fn invalid(reason: &str) -> ConfigError {
    ConfigError::new("secret", reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_vector_has_its_signature() {
        // Of the specification's reference libraries.
        let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(secret.public_key(), None);
    }

    #[test]
    fn ed25519_signature_is_that_of_rfc_8032() {
        // The seed and public key of test 1. The signature of this message was made with OpenSSL.
        let seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
        let public = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        let secret = SigningSecret::new(&format!("whsk_{seed}")).unwrap();
        assert_eq!(secret.public_key(), Some(format!("whpk_{public}")));
        assert_eq!(secret.sign("id", "1", b"{}"), format!("v1a,{SIGNED}"));

        let mut both = Base64::decode_vec(seed).unwrap();
        both.extend(Base64::decode_vec(public).unwrap());
        let both = format!("whsk_{}", Base64::encode_string(&both));
        let secret = SigningSecret::new(&both).unwrap();
        assert_eq!(secret.sign("id", "1", b"{}"), format!("v1a,{SIGNED}"));
    }

    const SIGNED: &str =
        "YSjQBZYthweFpDrWd+ZBAKuXFJA5i2c9pv1bgycmCsdu9B6gp8gRoY81Q9KCTt+oot2DBpeoc9NRoLdEJAqFCw==";

    #[test]
    fn invalid_secret_is_refused_with_its_reason() {
        let of = |prefix: &str, length: usize| {
            format!("{prefix}{}", Base64::encode_string(&vec![7; length]))
        };
        let short = "the secret has not 24 to 64 bytes: make one of 32 random bytes";
        let pair =
            "the secret is not an ed25519 key of 32 bytes, or of 64 bytes with its public key";
        let base64 =
            "the secret is not base64 after its prefix: copy it whole, without white space";
        let prefix =
            "the secret begins with neither whsec_ nor whsk_: give a secret of Standard Webhooks";
        let cases = [
            (String::new(), prefix),
            ("whs_00112233445566778899aabbccddeeff".to_owned(), prefix),
            ("whpk_AAAA".to_owned(), prefix),
            ("whsec_".to_owned(), short),
            (of("whsec_", 23), short),
            (of("whsec_", 65), short),
            (format!("{}\n", of("whsec_", 32)), base64),
            ("whsec_AAAA*AAA".to_owned(), base64),
            (
                of("whsk_", 31),
                "the secret has neither 32 nor 64 bytes: give an ed25519 key",
            ),
            (of("whsk_", 63), pair),
            (of("whsk_", 64), pair),
        ];
        for (secret, expected) in cases {
            let error = SigningSecret::new(&secret).unwrap_err();
            assert_eq!(error.to_string(), expected, "{secret}");
        }
        for length in [24, 64] {
            assert!(
                SigningSecret::new(&of("whsec_", length)).is_ok(),
                "{length}"
            );
        }
    }

    #[test]
    fn padding_may_be_left_out() {
        let secret = |text: &str| SigningSecret::new(text).unwrap().sign("a", "1", b"");
        let padded = format!("whsec_{}", Base64::encode_string(&[7; 32]));
        assert_eq!(secret(&padded), secret(padded.trim_end_matches('=')));
    }
}
