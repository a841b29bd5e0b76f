use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

/// A team's webhook secret. Its UTF-8 bytes are the key.
///
/// The pyannoteAI dashboard shows it as `whs_` and 32 hex digits. The bytes are overwritten when the last clone is dropped,
/// and [`Debug`](fmt::Debug) never shows them.
///
/// # Example
///
/// ```
/// use tower_pyannote::{WebhookSecret, verify::SecretErrorKind};
///
/// let secret = WebhookSecret::new("whs_0123456789abcdef0123456789abcdef")?;
/// assert_eq!(format!("{secret:?}"), "WebhookSecret([redacted])");
///
/// let error = WebhookSecret::new("whs_0123\n").unwrap_err();
/// assert_eq!(error.kind(), SecretErrorKind::SurroundingWhitespace);
/// # Ok::<_, tower_pyannote::verify::SecretError>(())
/// ```
#[derive(Clone)]
pub struct WebhookSecret(Arc<Zeroizing<Vec<u8>>>);

impl WebhookSecret {
    /// Creates a secret. A `String` or `Vec<u8>` is moved, so that no copy of its bytes remains.
    ///
    /// # Errors
    ///
    /// Returns an error if the secret is empty, blank, or begins or ends with white space.
    pub fn new(secret: impl Into<Vec<u8>>) -> Result<Self, SecretError> {
        Self::checked(Zeroizing::new(secret.into())).map_err(SecretError::of)
    }

    /// Reads the secret from the environment variable `name`.
    ///
    /// # Errors
    ///
    /// Returns an error if the variable is not set or not Unicode, or if [`WebhookSecret::new`] refuses its value. The error
    /// names the variable.
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        let value = read_env(name)?;
        Self::new(value.as_bytes()).map_err(|error| error.in_variable(name))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn checked(secret: Zeroizing<Vec<u8>>) -> Result<Self, SecretErrorKind> {
        if secret.is_empty() {
            return Err(SecretErrorKind::Empty);
        }
        let trimmed = match std::str::from_utf8(&secret) {
            Ok(text) => text.trim().len(),
            Err(_) => secret.trim_ascii().len(),
        };
        if trimmed == 0 {
            return Err(SecretErrorKind::Blank);
        }
        if trimmed != secret.len() {
            return Err(SecretErrorKind::SurroundingWhitespace);
        }
        Ok(Self(Arc::new(secret)))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret([redacted])")
    }
}

/// The secrets that are valid now: one, or several during a rotation.
///
/// Put the secret in use first: a delivery is checked against the others only if the first did not match. Logs and metrics
/// name the secret that matched by its index, never by its value.
///
/// # Example: rotate a secret
///
/// ```
/// use tower_pyannote::{SecretSet, WebhookSecret};
///
/// let secrets = SecretSet::new(WebhookSecret::new("whs_new")?).add_secret(WebhookSecret::new("whs_old")?);
/// assert_eq!(secrets.len(), 2);
/// # Ok::<_, tower_pyannote::verify::SecretError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SecretSet(Vec<WebhookSecret>);

impl SecretSet {
    /// Creates a set of one secret.
    pub fn new(secret: WebhookSecret) -> Self {
        Self(vec![secret])
    }

    /// Adds a secret, which is tried after those already in the set.
    pub fn add_secret(mut self, secret: WebhookSecret) -> Self {
        self.0.push(secret);
        self
    }

    /// Reads one secret, or several separated by commas, from the environment variable `name`.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`WebhookSecret::from_env`]. The error names the variable, and the position of the secret
    /// if there are several.
    pub fn from_env(name: &str) -> Result<Self, SecretError> {
        let value = read_env(name)?;
        Self::from_list(&value).map_err(|error| error.in_variable(name))
    }

    /// Parses one secret, or several separated by commas.
    ///
    /// # Errors
    ///
    /// Returns an error if [`WebhookSecret::new`] refuses one of them. The error has its position.
    pub fn from_list(list: &str) -> Result<Self, SecretError> {
        if !list.contains(',') {
            return WebhookSecret::new(list).map(Self::new);
        }
        list.split(',')
            .enumerate()
            .map(|(index, secret)| WebhookSecret::new(secret).map_err(|error| error.at(index)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the number of secrets, which is never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &WebhookSecret> {
        self.0.iter()
    }
}

impl From<WebhookSecret> for SecretSet {
    fn from(secret: WebhookSecret) -> Self {
        Self::new(secret)
    }
}

/// A secret that cannot be used, with the environment variable that it came from.
///
/// `Debug` prints the message of `Display`, so that a `main` that returns this error prints a sentence.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretError {
    kind: SecretErrorKind,
    variable: Option<String>,
    index: Option<usize>,
}

impl SecretError {
    /// Returns what is wrong with the secret.
    #[must_use]
    pub fn kind(&self) -> SecretErrorKind {
        self.kind
    }

    fn of(kind: SecretErrorKind) -> Self {
        Self {
            kind,
            variable: None,
            index: None,
        }
    }

    fn in_variable(mut self, name: &str) -> Self {
        self.variable = Some(name.to_owned());
        self
    }

    fn at(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }
}

impl fmt::Debug for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.variable {
            write!(f, "environment variable {name}: ")?;
        }
        match self.index {
            Some(index) => write!(f, "webhook secret {} of the list ", index + 1)?,
            None => f.write_str("the webhook secret ")?,
        }
        f.write_str(match self.kind {
            SecretErrorKind::Empty => "is empty; copy it from the pyannoteAI dashboard",
            SecretErrorKind::Blank => "is blank; copy it from the pyannoteAI dashboard",
            SecretErrorKind::SurroundingWhitespace => {
                "begins or ends with white space; remove the white space"
            }
            SecretErrorKind::NotSet => "is not set; copy it from the pyannoteAI dashboard",
            SecretErrorKind::NotUnicode => "is not Unicode; copy it from the pyannoteAI dashboard",
        })
    }
}

impl std::error::Error for SecretError {}

/// The category of a [`SecretError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SecretErrorKind {
    /// The secret has no bytes.
    Empty,
    /// The secret is only white space.
    Blank,
    /// The secret begins or ends with white space, such as the newline of a copied line or a mounted file.
    SurroundingWhitespace,
    /// The environment variable is not set.
    NotSet,
    /// The environment variable's value is not Unicode.
    NotUnicode,
}

fn read_env(name: &str) -> Result<Zeroizing<String>, SecretError> {
    use std::env::VarError;

    std::env::var(name).map(Zeroizing::new).map_err(|error| {
        let kind = match error {
            VarError::NotPresent => SecretErrorKind::NotSet,
            VarError::NotUnicode(_) => SecretErrorKind::NotUnicode,
        };
        SecretError::of(kind).in_variable(name)
    })
}
