//! Reads secrets: from a variable, or from a file that a flag, a variable or the settings file names.

use std::{cmp::Ordering, env, fs, path::Path};

use pyannote_cli::Failure;
use tower_pyannote::{SecretSet, WebhookSecret};
use zeroize::Zeroizing;

use crate::settings::{InForce, Origin};

/// Where the secrets are.
#[derive(Clone)]
pub(crate) struct Secrets {
    webhook: Source,
    api_key: Source,
    database_url: Source,
    forward: Source,
    relay: Source,
}

#[derive(Clone)]
enum Source {
    Unset,
    Value {
        place: String,
        value: Zeroizing<Vec<u8>>,
    },
    File {
        place: String,
        path: String,
    },
    Both(String),
}

/// A secret as it was set, which may be invalid.
pub(crate) struct Setting {
    /// The variable, the flag or the key that sets it.
    place: String,
    value: Zeroizing<Vec<u8>>,
}

impl Secrets {
    pub(crate) fn new(settings: &InForce) -> Self {
        Self {
            webhook: Source::of_variable(settings, WEBHOOK_SECRET, "webhook.secret_file"),
            api_key: Source::of_variable(settings, API_KEY, "reconcile.api_key_file"),
            database_url: Source::of_setting(settings, "database.url", DATABASE_URL),
            forward: Source::of_variable(settings, FORWARD_SECRET, "forward.secret_file"),
            relay: Source::of_setting(settings, "relay.url", RELAY),
        }
    }

    /// Reads the webhook secret, or several separated by commas.
    pub(crate) fn webhook(&self) -> Result<Setting, Failure> {
        self.webhook.read()?.ok_or_else(|| {
            Failure::usage(format!(
                "environment variable {WEBHOOK_SECRET} is not set: copy the secret from the pyannoteAI dashboard"
            ))
        })
    }

    /// Reads the API key. Returns `None` if it is not set.
    pub(crate) fn api_key(&self) -> Result<Option<Setting>, Failure> {
        self.api_key.read()
    }

    /// Reads the secret that signs what is forwarded. Returns `None` if it is not set.
    pub(crate) fn forward(&self) -> Result<Option<Setting>, Failure> {
        self.forward.read()
    }

    /// Reads the URL of the NATS server. Returns `None` if it is not set.
    pub(crate) fn relay(&self) -> Result<Option<Setting>, Failure> {
        self.relay.read()
    }

    /// Reads the URL of the database. Returns `None` if it is not set.
    pub(crate) fn database_url(&self) -> Result<Option<Setting>, Failure> {
        self.database_url.read()
    }

    /// Returns the places of the secrets, for `config`.
    pub(crate) fn places(&self) -> [(&'static str, Option<String>); 3] {
        let place = |source: &Source| match source {
            Source::Unset => None,
            Source::Value { place, .. } | Source::File { place, .. } | Source::Both(place) => {
                Some(place.clone())
            }
        };
        [
            ("webhook.secret", place(&self.webhook)),
            ("reconcile.api_key", place(&self.api_key)),
            ("forward.secret", place(&self.forward)),
        ]
    }
}

impl Source {
    /// Returns the source of a secret whose value is in a variable, or in the file that the setting `key` names.
    fn of_variable(settings: &InForce, variable: &str, key: &str) -> Self {
        let value = env::var_os(variable).map(|value| {
            let value = Zeroizing::new(value.into_encoded_bytes());
            (Origin::Environment, of_environment(variable), value)
        });
        Self::of(settings, value, key)
    }

    /// Returns the source of a secret: the value of the setting `key`, or the file of the setting `{key}_file`.
    fn of_setting(settings: &InForce, key: &str, place: &str) -> Self {
        let value = settings.get(key).and_then(|setting| {
            let value = Zeroizing::new(setting.value.clone()?.into_bytes());
            Some((setting.origin, place.to_owned(), value))
        });
        Self::of(settings, value, &format!("{key}_file"))
    }

    /// Returns the value or the file, whichever has the greater origin.
    fn of(
        settings: &InForce,
        value: Option<(Origin, String, Zeroizing<Vec<u8>>)>,
        key: &str,
    ) -> Self {
        let file = settings.get(key).and_then(|file| {
            let place = match file.origin {
                Origin::Environment => of_environment(&file.place),
                Origin::File => format!("{key} in {}", file.place),
                Origin::Flag | Origin::Default => file.place.clone(),
            };
            Some((file.origin, place, file.value.clone()?))
        });
        match (value, file) {
            (None, None) => Self::Unset,
            (Some((_, place, value)), None) => Self::Value { place, value },
            (None, Some((_, place, path))) => Self::File { place, path },
            (Some((of_value, one, value)), Some((of_file, other, path))) => {
                match of_value.cmp(&of_file) {
                    Ordering::Greater => Self::Value { place: one, value },
                    Ordering::Less => Self::File { place: other, path },
                    Ordering::Equal => Self::Both(both(&one, &other)),
                }
            }
        }
    }

    fn read(&self) -> Result<Option<Setting>, Failure> {
        match self {
            Self::Unset => Ok(None),
            Self::Value { place, value } => Ok(Some(Setting {
                place: place.clone(),
                value: value.clone(),
            })),
            Self::File { place, path } => {
                let value = read_file(path.as_ref())
                    .map_err(|error| Failure::usage(format!("{place}: {error}")))?;
                Ok(Some(Setting {
                    place: place.clone(),
                    value: Zeroizing::new(value),
                }))
            }
            Self::Both(error) => Err(Failure::usage(error)),
        }
    }
}

impl Setting {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn as_text(&self) -> Result<&str, Failure> {
        std::str::from_utf8(&self.value).map_err(|_| self.invalid("the value is not UTF-8"))
    }

    /// Returns the variable, the flag or the key that sets the secret.
    pub(crate) fn place(&self) -> &str {
        &self.place
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
        Failure::usage(format!("{}: {error}", self.place))
    }
}

fn both(one: &str, other: &str) -> String {
    let variables = [one, other].map(|place| place.strip_prefix(VARIABLE));
    match variables {
        [Some(one), Some(other)] => {
            format!("environment variables {one} and {other}: set only one")
        }
        _ => format!("{one} and {other}: set only one"),
    }
}

fn of_environment(variable: &str) -> String {
    format!("{VARIABLE}{variable}")
}

/// Reads a file without the line break at its end, which an editor or `echo` adds.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let read = fs::read(path);
    let mut value = read.map_err(|error| format!("{}: cannot be read: {error}", path.display()))?;
    for end in [b'\n', b'\r'] {
        if value.last() == Some(&end) {
            value.pop();
        }
    }
    Ok(value)
}

const VARIABLE: &str = "environment variable ";
const WEBHOOK_SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";
const API_KEY: &str = "PYANNOTEAI_API_KEY";
const DATABASE_URL: &str = "--database-url (or DATABASE_URL)";
const RELAY: &str = "--relay (or WEBHOOK_SERVER_RELAY)";
const FORWARD_SECRET: &str = "WEBHOOK_SERVER_FORWARD_SECRET";
