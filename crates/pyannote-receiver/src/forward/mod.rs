//! Handlers that pass events on to other programs: `forward:NAME` over HTTP, and `relay` to NATS JetStream.

mod current;
mod endpoint;

use std::time::Duration;

use pyannote_cli::Failure;
use reqwest::Url;
use tokio::time;
use tower_pyannote::{ConfigError, HandlerRegistry};
use tower_pyannote_forward::{Forward, NatsBuilder, NatsPublisher, Relay};

pub(crate) use self::endpoint::Endpoint;
use self::{
    current::Current,
    endpoint::{Problem, builder, signing},
};
use crate::{error::in_full, secrets::Secrets, settings::PassOn};

/// The handlers that pass events on.
pub(crate) struct Handlers {
    endpoints: Vec<Registered>,
    relay: Option<Relay<NatsPublisher>>,
}

/// The handler of an endpoint.
struct Registered {
    /// The name in the registry, such as `forward:crm`.
    name: String,
    handler: Current,
    timeout: Duration,
    has_secrets: bool,
}

/// An endpoint, built from its settings.
struct Built {
    forward: Forward,
    timeout: Duration,
    has_secrets: bool,
}

impl Handlers {
    /// Builds the handlers from the settings. Connects to nothing.
    pub(crate) fn new(settings: &PassOn, secrets: &Secrets) -> Result<Self, Failure> {
        let endpoints = built(settings, secrets).map(|(name, built)| {
            let built = built?;
            Ok(Registered {
                name: format!("forward:{name}"),
                handler: Current::new(built.forward),
                timeout: built.timeout,
                has_secrets: built.has_secrets,
            })
        });
        let endpoints = endpoints.collect::<Result<_, Failure>>()?;
        let relay = nats(settings, secrets)?.map(|relay| {
            let relay = relay.with_create_if_absent(true).build();
            relay.map_err(|error| Failure::usage(format!("--relay, --relay-stream: {error}")))
        });
        Ok(Self {
            endpoints,
            relay: relay.transpose()?,
        })
    }

    /// Returns a sentence with the names of the handlers, for `check`.
    pub(crate) fn summary(&self) -> String {
        let endpoints = self.endpoints.iter().map(|it| it.name.as_str());
        let relay = self.relay.iter().map(|_| "relay");
        let names: Vec<_> = endpoints.chain(relay).collect();
        format!(
            "the settings of {} are valid; nothing was sent",
            names.join(", ")
        )
    }

    /// Adds the handlers to a registry.
    pub(crate) fn register(
        &self,
        mut registry: HandlerRegistry,
    ) -> Result<HandlerRegistry, ConfigError> {
        for endpoint in &self.endpoints {
            let name = endpoint.name.as_str();
            registry = registry.register(name, endpoint.handler.clone())?;
            // The timeout of the handler itself ends first, because its error is more precise.
            registry = registry.with_timeout_for(name, endpoint.timeout.saturating_add(BESIDE))?;
        }
        match &self.relay {
            Some(relay) => registry.register("relay", relay.clone()),
            None => Ok(registry),
        }
    }

    /// Reads the secrets of each endpoint again, and returns the name and the result for each. An endpoint keeps its secrets if
    /// the new ones are invalid.
    pub(crate) fn reload<'a>(
        &'a self,
        settings: &'a PassOn,
        secrets: &'a Secrets,
    ) -> impl Iterator<Item = (&'a str, Result<(), Failure>)> {
        let all = self.endpoints.iter().zip(built(settings, secrets));
        let with_secrets = all.filter(|(endpoint, _)| endpoint.has_secrets);
        with_secrets.map(|(endpoint, (_, built))| {
            let replaced = built.map(|built| endpoint.handler.replace(built.forward));
            (endpoint.name.as_str(), replaced)
        })
    }
}

/// Builds all endpoints, in the order of the settings.
fn built<'a>(
    settings: &'a PassOn,
    secrets: &'a Secrets,
) -> impl Iterator<Item = (String, Result<Built, Failure>)> + 'a {
    let of_flag = settings.urls.iter().map(|url| {
        let name = name_of(url);
        let built = of_url(url, &name, settings, secrets);
        (name, built)
    });
    let of_file = settings.endpoints.iter().map(|(name, endpoint)| {
        let built = of_endpoint(name, endpoint, settings.timeout);
        let of = |error| Failure::usage(format!("forward.endpoints.{name}: {error}"));
        (name.clone(), built.map_err(of))
    });
    of_flag.chain(of_file)
}

fn of_url(url: &str, name: &str, settings: &PassOn, secrets: &Secrets) -> Result<Built, Failure> {
    let timeout = settings.timeout;
    let mut forward = builder(url, name, settings.allow_private)
        .with_timeout(timeout)
        .map_err(|error| Failure::usage(format!("--forward-timeout: {error}")))?;
    let secret = secrets.forward()?;
    if let Some(secret) = &secret {
        let all = signing(secret.as_text()?)
            .map_err(|error| Failure::usage(format!("{}: {error}", secret.place())))?;
        for one in all {
            forward = forward.add_secret(one);
        }
    }
    let built = forward.build();
    Ok(Built {
        forward: built.map_err(|error| Failure::usage(format!("--forward: {error}")))?,
        timeout,
        has_secrets: secret.is_some(),
    })
}

fn of_endpoint(name: &str, endpoint: &Endpoint, default: Duration) -> Result<Built, Problem> {
    let timeout = endpoint.timeout(default)?;
    Ok(Built {
        forward: endpoint.forward(name, timeout)?,
        timeout,
        has_secrets: endpoint.has_secrets(),
    })
}

/// Connects to the server of `--relay`, looks for the stream, and creates nothing. Returns `None` without `--relay`.
pub(crate) async fn check_relay(
    settings: &PassOn,
    secrets: &Secrets,
) -> Result<Option<String>, Failure> {
    let Some(relay) = nats(settings, secrets)? else {
        return Ok(None);
    };
    let stream = &settings.stream;
    let failed = |error: &dyn std::fmt::Display| Failure::run(format!("--relay: {error}"));
    let found = time::timeout(PATIENCE, relay.has_stream()).await;
    let found = found.map_err(|_| failed(&format!("the server did not answer in {PATIENCE:?}")))?;
    let found = found.map_err(|error| failed(&in_full(error.as_error())))?;
    Ok(Some(match found {
        true => format!("the server has the stream {stream}"),
        false => format!("the server has no stream {stream}; `serve` creates it"),
    }))
}

fn nats(settings: &PassOn, secrets: &Secrets) -> Result<Option<NatsBuilder>, Failure> {
    let Some(url) = secrets.relay()? else {
        return Ok(None);
    };
    Ok(Some(Relay::nats(url.as_text()?, &settings.stream)))
}

/// Returns the host and the port of a URL. Names are logged, so the path, which may contain a token, is left out.
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

const BESIDE: Duration = Duration::from_secs(1);

/// Longer than the timeout of the connection.
const PATIENCE: Duration = Duration::from_secs(10);
