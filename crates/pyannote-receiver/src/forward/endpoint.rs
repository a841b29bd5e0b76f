use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use reqwest::Url;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tower_pyannote::{Kind, Status, WebhookSecret};
use tower_pyannote_forward::{EventFilter, Forward, ForwardBuilder, SigningSecret};

use crate::{secrets, settings::duration};

/// An endpoint of the settings file: the table `[forward.endpoints.NAME]`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    url: String,
    /// `diarization`, `identification`, `voiceprint`, `unknown`, and `none` for jobs whose kind is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    kinds: Option<Vec<String>>,
    /// `succeeded`, `failed` and `canceled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    statuses: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    references: Option<Vec<String>>,
    /// A file with a secret of Standard Webhooks, or several separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_file: Option<PathBuf>,
    /// A file with a secret that signs as pyannoteAI does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pyannote_secret_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Headers whose values are secrets, each in a file.
    #[serde(default)]
    header_files: BTreeMap<String, PathBuf>,
    #[serde(default)]
    allow_private: bool,
    /// Statuses that a retry cannot fix, beside 410.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    permanent_statuses: Vec<u16>,
}

/// The reason why an endpoint of the settings file cannot be used.
pub(super) type Problem = Box<dyn std::error::Error + Send + Sync>;

impl Endpoint {
    /// Returns the keys and values of the table, for `config`.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let mut settings = Vec::new();
        let table = serde_json::to_value(self).expect("an endpoint has only texts as keys");
        flatten(String::new(), table, &mut settings);
        settings
    }

    /// Returns whether the endpoint reads a secret from a file.
    pub(super) fn has_secrets(&self) -> bool {
        let files = [&self.secret_file, &self.pyannote_secret_file];
        files.into_iter().any(Option::is_some) || !self.header_files.is_empty()
    }

    pub(super) fn timeout(&self, default: Duration) -> Result<Duration, Problem> {
        match &self.timeout {
            Some(text) => duration(text).map_err(|error| format!("timeout: {error}").into()),
            None => Ok(default),
        }
    }

    pub(super) fn forward(&self, name: &str, timeout: Duration) -> Result<Forward, Problem> {
        let mut forward = builder(&self.url, name, self.allow_private)
            .with_timeout(timeout)?
            .with_filter(self.filter()?);
        if let Some(path) = &self.secret_file {
            for secret in signing(&read(path, "secret_file")?)? {
                forward = forward.add_secret(secret);
            }
        }
        if let Some(path) = &self.pyannote_secret_file {
            let secret = WebhookSecret::new(read(path, "pyannote_secret_file")?)?;
            forward = forward.with_pyannote_secret(&secret);
        }
        for (name, value) in &self.headers {
            forward = forward.add_header(name, value)?;
        }
        for (name, path) in &self.header_files {
            let value = read(path, &format!("header_files.{name}"))?;
            forward = forward.add_header(name, &value)?;
        }
        for status in &self.permanent_statuses {
            forward = forward.add_permanent_status(*status)?;
        }
        Ok(forward.build()?)
    }

    fn filter(&self) -> Result<EventFilter, Problem> {
        let mut filter = EventFilter::new();
        if let Some(kinds) = &self.kinds {
            let kinds = kinds.iter().map(|kind| parse_kind(kind));
            filter = filter.with_kinds(kinds.collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(statuses) = &self.statuses {
            let statuses = statuses.iter().map(|status| parse_status(status));
            filter = filter.with_statuses(statuses.collect::<Result<Vec<_>, _>>()?);
        }
        if let Some(references) = &self.references {
            filter = filter.with_references(references.iter().cloned());
        }
        Ok(filter)
    }
}

/// Adds the values of a table under their keys. Joins the keys of nested tables by dots.
fn flatten(key: String, value: Value, settings: &mut Vec<(String, String)>) {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    match value {
        Value::Object(table) => {
            let prefix = if key.is_empty() { key } else { key + "." };
            for (name, value) in table {
                flatten(format!("{prefix}{name}"), value, settings);
            }
        }
        Value::Array(list) => {
            let list: Vec<_> = list.iter().map(text).collect();
            settings.push((key, list.join(",")));
        }
        value => settings.push((key, text(&value))),
    }
}

fn parse_kind(text: &str) -> Result<Option<Kind>, Problem> {
    let kinds = [
        Kind::Diarization,
        Kind::Identification,
        Kind::Voiceprint,
        Kind::Unknown,
    ];
    match kinds.into_iter().find(|kind| kind.as_str() == text) {
        Some(kind) => Ok(Some(kind)),
        None if text == "none" => Ok(None),
        None => Err(format!(
            "kinds: {text:?} is not one of diarization, identification, voiceprint, unknown and none"
        )
        .into()),
    }
}

fn parse_status(text: &str) -> Result<Status, Problem> {
    match Status::from(text) {
        Status::Other(_) => {
            Err(format!("statuses: {text:?} is not one of succeeded, failed and canceled").into())
        }
        status => Ok(status),
    }
}

/// Starts an endpoint. An address in the URL is the operator's own choice, and needs no further permission.
pub(super) fn builder(url: &str, name: &str, allow_private: bool) -> ForwardBuilder {
    let mut forward = Forward::to(url)
        .with_name(name)
        .with_allow_private(allow_private);
    let host = Url::parse(url).ok();
    let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let networks: &[String] = match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => &[format!("{address}/32")],
        Ok(IpAddr::V6(address)) => &[format!("{address}/128")],
        Err(_) if address == "localhost" => &["127.0.0.0/8".to_owned(), "::1/128".to_owned()],
        Err(_) => &[],
    };
    for network in networks {
        forward = forward
            .add_allowed_network(network)
            .expect("it is a network");
    }
    forward
}

/// Parses one secret of Standard Webhooks, or several separated by commas.
pub(super) fn signing(
    list: &str,
) -> Result<Vec<SigningSecret>, tower_pyannote_forward::ConfigError> {
    list.split(',').map(SigningSecret::new).collect()
}

fn read(path: &Path, key: &str) -> Result<String, Problem> {
    let text = secrets::read_file(path).map_err(|error| format!("{key}: {error}"))?;
    String::from_utf8(text).map_err(|_| format!("{key}: the secret is not UTF-8").into())
}
