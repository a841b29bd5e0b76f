use std::fmt;

use argon2::{
    Argon2, PasswordHasher,
    password_hash::phc::{PasswordHash, Salt},
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A new token of the page: the token for the operator, and its hash for the settings.
///
/// # Example: what goes into the settings
///
/// ```
/// use pyannote_receiver::{PageSettings, PageToken};
///
/// let token = PageToken::generate()?;
/// println!("keep this: {}", token.secret());
/// let settings = PageSettings::new().with_token_hash(token.hash())?;
/// # let _ = settings;
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
pub struct PageToken {
    secret: Zeroizing<String>,
    hash: String,
}

impl PageToken {
    /// Generates a token of 256 random bits.
    ///
    /// # Errors
    ///
    /// Returns an error if the system has no random numbers.
    pub fn generate() -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| error.to_string())?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
        salt[..MARK.len()].copy_from_slice(MARK);
        let random = Zeroizing::new(base16ct::lower::encode_string(&*bytes));
        let secret = Zeroizing::new(format!("page_{}{}", *random, tag(&salt, &random)));
        let hash = Argon2::default()
            .hash_password_with_salt(secret.as_bytes(), &salt)
            .map_err(|error| error.to_string())?;
        Ok(Self {
            hash: hash.to_string(),
            secret,
        })
    }

    /// Returns the token, which the operator enters. It is shown nowhere else.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Returns the argon2 hash, for [`PageSettings::with_token_hash`](crate::PageSettings::with_token_hash).
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// Returns whether a token may match this hash. Takes microseconds, so that wrong tokens cannot keep argon2 busy.
///
/// A token of [`PageToken`] ends with a tag. The key of the tag is the salt of the hash, which only the receiver and its operator
/// know. Returns `true` for the hash of another program, because its tokens have no tag.
pub(super) fn may_match(token: &str, hash: &PasswordHash) -> bool {
    let marked = hash.salt.as_ref().map(Salt::as_ref);
    let Some(salt) = marked.filter(|salt: &&[u8]| salt.starts_with(MARK)) else {
        return true;
    };
    let random = token
        .strip_prefix("page_")
        .and_then(|rest| rest.split_at_checked(64));
    random.is_some_and(|(random, sent)| tag(salt, random).as_bytes().ct_eq(sent.as_bytes()).into())
}

fn tag(salt: &[u8], random: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(salt).expect("HMAC takes a key of any length");
    mac.update(random.as_bytes());
    let tag = mac.finalize().into_bytes();
    base16ct::lower::encode_string(tag.get(..8).unwrap_or_default())
}

/// The salt begins with these bytes if the token has a tag.
const MARK: &[u8] = b"page";

impl fmt::Debug for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageToken([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_without_the_tag_of_its_hash_is_refused_without_argon2() {
        let [token, other] = [(); 2].map(|()| PageToken::generate().unwrap());
        let hash = PasswordHash::new(token.hash()).unwrap();
        assert!(may_match(token.secret(), &hash));
        let changed = token.secret().replace("page_", "page_0");
        for wrong in [other.secret(), &changed, "page_", "", &"page_0".repeat(30)] {
            assert!(!may_match(wrong, &hash), "{wrong}");
        }
        let argon2 = Argon2::default();
        let right =
            argon2::PasswordVerifier::verify_password(&argon2, token.secret().as_bytes(), &hash);
        assert_eq!(right, Ok(()));
    }

    #[test]
    fn any_token_may_match_the_hash_of_another_program() {
        let hash = "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHRzYWx0$NLZ0EZ9E2ZmDPXgBvTcQMbjGpgvLwjDDrPNHcLVG2TI";
        assert!(may_match("secret", &PasswordHash::new(hash).unwrap()));
    }
}
