//! Handlers that pass events on to other programs: `forward:NAME` over HTTP, and `relay` to NATS JetStream.

use std::{
    collections::BTreeMap,
    fmt::Display,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use pyannote_cli::Failure;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use tower_pyannote::{ConfigError, HandlerRegistry, Kind, Status, WebhookSecret};
use tower_pyannote_forward::{
    EventFilter, Forward, ForwardBuilder, NatsPublisher, Relay, SigningSecret,
};

use crate::{
    secrets::{self, Secrets},
    settings::{PassOn, duration},
};

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
    #[serde(default)]
    allow_private: bool,
    /// Statuses that a retry cannot fix, beside 410.
    #[serde(default)]
    permanent_statuses: Vec<u16>,
}

/// The handlers that pass events on.
pub(crate) struct Handlers {
    forwards: Vec<(String, Forward, Duration)>,
    relay: Option<Relay<NatsPublisher>>,
}

impl Handlers {
    /// Builds the handlers of the settings, and connects to nothing.
    pub(crate) fn new(settings: &PassOn, secrets: &Secrets) -> Result<Self, Failure> {
        let mut forwards = Vec::new();
        let shared = match settings.urls.as_slice() {
            [] => Vec::new(),
            _ => match secrets.forward()? {
                Some(secret) => signing(secret.as_text()?)
                    .map_err(|error| Failure::usage(format!("{}: {error}", secret.place())))?,
                None => Vec::new(),
            },
        };
        for url in &settings.urls {
            let of = |error: &dyn Display| Failure::usage(format!("--forward: {error}"));
            let name = name_of(url);
            let forward = builder(url, &name, settings.allow_private)
                .with_timeout(settings.timeout)
                .map_err(|error| Failure::usage(format!("--forward-timeout: {error}")))?;
            let forward = shared
                .iter()
                .cloned()
                .fold(forward, ForwardBuilder::add_secret);
            let forward = forward.build().map_err(|error| of(&error))?;
            forwards.push((name, forward, settings.timeout));
        }
        for (name, endpoint) in &settings.endpoints {
            let of = |error: Problem| Failure::usage(format!("forward.endpoints.{name}: {error}"));
            let timeout = endpoint.timeout(settings.timeout).map_err(of)?;
            let forward = endpoint.forward(name, timeout).map_err(of)?;
            forwards.push((name.clone(), forward, timeout));
        }
        let relay = settings.relay.as_ref().map(|url| {
            let relay = Relay::nats(url, &settings.stream).with_create_if_absent(true);
            let relay = relay.build();
            relay.map_err(|error| Failure::usage(format!("--relay, --relay-stream: {error}")))
        });
        Ok(Self {
            forwards,
            relay: relay.transpose()?,
        })
    }

    /// Names the handlers, for `check`.
    pub(crate) fn summary(&self) -> String {
        let forwards = self
            .forwards
            .iter()
            .map(|(name, ..)| format!("forward:{name}"));
        let relay = self.relay.iter().map(|_| "relay".to_owned());
        let names: Vec<_> = forwards.chain(relay).collect();
        format!(
            "the settings of {} are valid; nothing was sent",
            names.join(", ")
        )
    }

    /// Adds the handlers to a registry.
    pub(crate) fn register(
        self,
        mut registry: HandlerRegistry,
    ) -> Result<HandlerRegistry, ConfigError> {
        for (name, forward, timeout) in self.forwards {
            let name = format!("forward:{name}");
            registry = registry.register(name.as_str(), forward)?;
            // The handler itself times out before, with an error that says so.
            registry = registry.with_timeout_for(&name, timeout.saturating_add(BESIDE))?;
        }
        match self.relay {
            Some(relay) => registry.register("relay", relay),
            None => Ok(registry),
        }
    }
}

/// Why an endpoint of the settings file cannot be used.
type Problem = Box<dyn std::error::Error + Send + Sync>;

impl Endpoint {
    fn timeout(&self, default: Duration) -> Result<Duration, Problem> {
        match &self.timeout {
            Some(text) => duration(text).map_err(|error| format!("timeout: {error}").into()),
            None => Ok(default),
        }
    }

    fn forward(&self, name: &str, timeout: Duration) -> Result<Forward, Problem> {
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
fn builder(url: &str, name: &str, allow_private: bool) -> ForwardBuilder {
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

/// Returns the host and the port. The path may hold a token, and names are logged.
fn name_of(url: &str) -> String {
    let url = Url::parse(url).ok();
    let name = url.and_then(|url| {
        let host = url.host_str()?;
        Some(match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        })
    });
    name.unwrap_or_default()
}

/// Parses one secret of Standard Webhooks, or several separated by commas.
fn signing(list: &str) -> Result<Vec<SigningSecret>, tower_pyannote_forward::ConfigError> {
    list.split(',').map(SigningSecret::new).collect()
}

fn read(path: &Path, key: &str) -> Result<String, Problem> {
    let text = secrets::read_file(path).map_err(|error| format!("{key}: {error}"))?;
    String::from_utf8(text).map_err(|_| format!("{key}: the secret is not UTF-8").into())
}

const BESIDE: Duration = Duration::from_secs(1);
