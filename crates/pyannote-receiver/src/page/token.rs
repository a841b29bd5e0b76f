use std::fmt;

use argon2::{Argon2, PasswordHasher};
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
        let secret = Zeroizing::new(format!("page_{}", base16ct::lower::encode_string(&*bytes)));
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
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

impl fmt::Debug for PageToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PageToken([redacted])")
    }
}
