//! Reads secrets from the environment: from a variable, or from the file that `{variable}_FILE` names.

use std::{env, fs, path::PathBuf};

use pyannote_cli::Failure;
use tower_pyannote::{SecretSet, WebhookSecret};
use zeroize::Zeroizing;

/// A secret as it was set, which may be invalid.
pub(crate) struct Setting {
    /// The variable that is set.
    variable: String,
    value: Zeroizing<Vec<u8>>,
}

/// Reads the webhook secret, or several separated by commas.
pub(crate) fn webhook_secret() -> Result<Setting, Failure> {
    read(WEBHOOK_SECRET)?.ok_or_else(|| {
        Failure::usage(format!(
            "environment variable {WEBHOOK_SECRET} is not set: copy the secret from the pyannoteAI dashboard"
        ))
    })
}

/// Reads the API key. Returns `None` if it is not set.
pub(crate) fn api_key() -> Result<Option<Setting>, Failure> {
    read(API_KEY)
}

impl Setting {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn as_text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.value).map_err(|_| self.invalid("the value is not UTF-8"))
    }

    /// Returns the secrets that a receiver accepts.
    pub(crate) fn to_set(&self) -> Result<SecretSet, Failure> {
        SecretSet::from_list(self.as_text()?).map_err(|error| self.invalid(error))
    }

    /// Returns the first secret, which is the new one during a rotation.
    pub(crate) fn to_first(&self) -> Result<WebhookSecret, Failure> {
        let first = self.as_text()?.split(',').next().unwrap_or_default();
        WebhookSecret::new(first).map_err(|error| self.invalid(error))
    }

    fn invalid(&self, error: impl std::fmt::Display) -> Failure {
        Failure::usage(format!("environment variable {}: {error}", self.variable))
    }
}

fn read(variable: &str) -> Result<Option<Setting>, Failure> {
    let file = format!("{variable}_FILE");
    let (variable, value) = match (env::var_os(variable), env::var_os(&file)) {
        (None, None) => return Ok(None),
        (Some(value), None) => (variable.to_owned(), value.into_encoded_bytes()),
        (None, Some(path)) => {
            let value = read_file(path.into())
                .map_err(|error| Failure::usage(format!("environment variable {file}: {error}")))?;
            (file, value)
        }
        (Some(_), Some(_)) => {
            let both = format!("environment variables {variable} and {file}: set only one");
            return Err(Failure::usage(both));
        }
    };
    let value = Zeroizing::new(value);
    Ok(Some(Setting { variable, value }))
}

/// Reads a file without the line break at its end, which an editor or `echo` adds.
fn read_file(path: PathBuf) -> Result<Vec<u8>, String> {
    let read = fs::read(&path);
    let mut value = read.map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    for end in [b'\n', b'\r'] {
        if value.last() == Some(&end) {
            value.pop();
        }
    }
    Ok(value)
}

pub(crate) const WEBHOOK_SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";
const API_KEY: &str = "PYANNOTEAI_API_KEY";
