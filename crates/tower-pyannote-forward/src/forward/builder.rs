use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use ipnet::IpNet;
use recloser::{AsyncRecloser, Recloser};
use reqwest::{Url, dns::Resolve};
use tokio::sync::Semaphore;
use tower_pyannote::{
    SigningKey, WebhookSecret,
    clock::{Clock, SystemClock},
};

use super::{
    Forward, Inner,
    guard::{AddressRefused, Guard, SystemResolver},
    secret::SigningSecret,
    signer::Signer,
    tls,
};
use crate::{cloud_event::Source, config_error::ConfigError, filter::EventFilter};

/// Builds a [`Forward`]; [`Forward::to`] creates it.
#[must_use = "a builder does nothing until it builds a handler"]
pub struct ForwardBuilder {
    url: String,
    name: Option<Arc<str>>,
    filter: EventFilter,
    signer: Signer,
    source: Source,
    headers: HeaderMap,
    permanent: Vec<StatusCode>,
    timeout: Duration,
    in_flight: usize,
    breaker: (usize, Duration),
    allow_private: bool,
    networks: Vec<IpNet>,
    system_proxy: bool,
    resolver: Arc<dyn Resolve>,
    now: super::Now,
}

impl Forward {
    /// Creates a builder for the endpoint at an `https` URL, or at an `http` URL in an allowed private network.
    ///
    /// [`ForwardBuilder::build`] checks the URL.
    pub fn to(url: impl Into<String>) -> ForwardBuilder {
        ForwardBuilder {
            url: url.into(),
            name: None,
            filter: EventFilter::new(),
            signer: Signer::default(),
            source: Source::default(),
            headers: HeaderMap::new(),
            permanent: vec![StatusCode::GONE],
            timeout: Duration::from_secs(7),
            in_flight: 8,
            breaker: (5, Duration::from_secs(10)),
            allow_private: false,
            networks: Vec::new(),
            system_proxy: false,
            resolver: Arc::new(SystemResolver),
            now: Arc::new(|| SystemClock.now()),
        }
    }
}

impl ForwardBuilder {
    /// Sets the name of the endpoint in metrics. Default: the host of the URL.
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets which events are sent. Default: all.
    pub fn with_filter(mut self, filter: EventFilter) -> Self {
        self.filter = filter;
        self
    }

    /// Adds a secret that signs by Standard Webhooks. Default: none, and then the endpoint cannot tell who sends.
    ///
    /// Each secret adds a signature. Add the new and the old secret while consumers change from one to the other.
    pub fn add_secret(mut self, secret: SigningSecret) -> Self {
        self.signer.standard.push(secret);
        self
    }

    /// Signs as pyannoteAI does, too: `X-Request-Timestamp` and `X-Signature`, with a secret of your own. Default: off.
    ///
    /// A receiver that was written for pyannoteAI's webhooks works unchanged with this secret. Do not use the secret that
    /// you share with pyannoteAI, because the operator of the endpoint could sign webhooks with it.
    pub fn with_pyannote_secret(mut self, secret: &WebhookSecret) -> Self {
        self.signer.pyannote = Some(SigningKey::new(secret));
        self
    }

    /// Sets the attribute `source` of CloudEvents. Default: `https://api.pyannote.ai`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the value is not a URI reference of at most 1024 characters.
    pub fn with_source(mut self, source: &str) -> Result<Self, ConfigError> {
        self.source = Source::new(source)?;
        Ok(self)
    }

    /// Adds a header to each request, for example `authorization`. Logs and `Debug` do not show its value.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the name or the value is invalid, if the crate or the HTTP client sets this header, or if
    /// it was added before.
    pub fn add_header(mut self, name: &str, value: &str) -> Result<Self, ConfigError> {
        let refused = |reason: &str| ConfigError::new("header", format!("{name:?} {reason}"));
        let parsed: HeaderName = name
            .parse()
            .map_err(|_| refused("is not the name of a header"))?;
        let mut value: HeaderValue = value.parse().map_err(|_| {
            refused("has a value with characters that a header cannot have: use visible ASCII")
        })?;
        value.set_sensitive(true);
        let prefixes = ["ce-", "webhook-"];
        if OWN_HEADERS.contains(&parsed)
            || OWN_NAMES.contains(&parsed.as_str())
            || prefixes
                .iter()
                .any(|prefix| parsed.as_str().starts_with(prefix))
        {
            return Err(refused("is set by the handler: remove it"));
        }
        match self.headers.insert(parsed, value) {
            None => Ok(self),
            Some(_) => Err(refused("was added before: remove one")),
        }
    }

    /// Adds a status that a retry cannot fix, beside 410. Default: 410 alone.
    ///
    /// The event is not sent to this endpoint again. Any other answer outside of 2xx is a failure that is retried.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for anything but a status from 400 to 599.
    pub fn add_permanent_status(mut self, status: u16) -> Result<Self, ConfigError> {
        match StatusCode::from_u16(status) {
            Ok(status) if status.is_client_error() || status.is_server_error() => {
                self.permanent.push(status);
                Ok(self)
            }
            _ => Err(ConfigError::new(
                "permanent status",
                format!("{status} is not from 400 to 599"),
            )),
        }
    }

    /// Sets the timeout of one event, from the wait for a free slot to the answer. Default: 7 s.
    ///
    /// It must be shorter than the timeout that the registry gives this handler, 8 s by default. Large bodies may need
    /// more of both.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for less than 100 ms, and for more than an hour.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        if !(Duration::from_millis(100)..=Duration::from_secs(3600)).contains(&timeout) {
            return Err(ConfigError::new("timeout", "must be from 100 ms to 1 h"));
        }
        self.timeout = timeout;
        Ok(self)
    }

    /// Sets the most requests to this endpoint that wait for an answer at the same time. Default: 8.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] for 0, and for more than 10,000.
    pub fn with_in_flight(mut self, requests: usize) -> Result<Self, ConfigError> {
        if !(1..=10_000).contains(&requests) {
            return Err(ConfigError::new("in_flight", "must be from 1 to 10000"));
        }
        self.in_flight = requests;
        Ok(self)
    }

    /// Sets the circuit breaker. Default: opens after 5 failures, for 10 s.
    ///
    /// It opens when the last `failures` requests timed out, were not answered or got a 5xx. While it is open, events fail
    /// at once and nothing is sent, so that an endpoint that is down does not occupy the worker. After `open_for`, requests
    /// are sent again: two decide whether it closes.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] unless `failures` is from 1 to 10,000 and `open_for` from 10 ms to an hour.
    pub fn with_circuit_breaker(
        mut self,
        failures: usize,
        open_for: Duration,
    ) -> Result<Self, ConfigError> {
        let times = Duration::from_millis(10)..=Duration::from_secs(3600);
        if !(1..=10_000).contains(&failures) || !times.contains(&open_for) {
            return Err(ConfigError::new(
                "circuit_breaker",
                "must have 1 to 10000 failures and be open for 10 ms to 1 h",
            ));
        }
        self.breaker = (failures, open_for);
        Ok(self)
    }

    /// Sets whether the endpoint may be on this machine or in a private network. Default: false.
    ///
    /// Allows loopback, `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16`, `100.64.0.0/10` and `fc00::/7`, and `http` URLs to
    /// them. Link-local addresses, where clouds serve credentials, and multicast and reserved addresses stay refused.
    pub fn with_allow_private(mut self, allow: bool) -> Self {
        self.allow_private = allow;
        self
    }

    /// Allows all addresses of a network, also special ones, and `http` URLs to them. Default: none.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the text is not a network such as `10.1.0.0/16`.
    pub fn add_allowed_network(mut self, network: &str) -> Result<Self, ConfigError> {
        let parsed = network.parse().map_err(|_| {
            let reason = format!("{network:?} is not a network: give one like 10.1.0.0/16");
            ConfigError::new("allowed_networks", reason)
        })?;
        self.networks.push(parsed);
        Ok(self)
    }

    /// Sets whether requests use the proxy that the environment names, by `HTTPS_PROXY` for example. Default: false.
    ///
    /// A proxy resolves names by itself, so the addresses of endpoints behind it are not checked.
    pub fn with_system_proxy(mut self, system_proxy: bool) -> Self {
        self.system_proxy = system_proxy;
        self
    }

    /// Sets the DNS resolver. Default: that of the system. Its answers are checked in any case.
    ///
    /// The resolver is a type of reqwest, so the version of reqwest is part of this crate's API on purpose.
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets the clock of timestamps. Default: the system's.
    pub fn with_clock(mut self, clock: impl Clock + Send + Sync + 'static) -> Self {
        self.now = Arc::new(move || clock.now());
        self
    }

    /// Builds the handler.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the URL is not `http` or `https`, has a user, or names an address that is not allowed; if
    /// it is `http` and no private network is allowed; and if TLS cannot be set up.
    pub fn build(self) -> Result<Forward, ConfigError> {
        let url = parse(&self.url)?;
        let is_encrypted = url.scheme() == "https";
        let guard = Guard {
            // Unencrypted requests may go only to allowed private networks.
            public: is_encrypted,
            private: self.allow_private,
            networks: self.networks,
        };
        if !is_encrypted && !guard.private && guard.networks.is_empty() {
            return Err(ConfigError::new(
                "url",
                "is http: use https, or allow the private network of the endpoint with allow_private or \
                 allowed_networks",
            ));
        }
        check_host(&url, &guard)?;

        let origin: Arc<str> = url.origin().ascii_serialization().into();
        let host = url.host_str().unwrap_or_default();
        let name = self.name.unwrap_or_else(|| host.into());
        let mut http = reqwest::Client::builder()
            .user_agent(concat!(
                "tower-pyannote-forward/",
                env!("CARGO_PKG_VERSION")
            ))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            // Less than the 5 s after which uvicorn and Node close a connection.
            .pool_idle_timeout(Duration::from_secs(4))
            .pool_max_idle_per_host(self.in_flight)
            .tls_backend_preconfigured(tls::config(is_encrypted)?)
            .dns_resolver(guard.resolver(self.resolver));
        if !self.system_proxy {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| {
            let error = error.without_url();
            ConfigError::new("http client", format!("cannot be built: {error}"))
        })?;
        let (failures, open_for) = self.breaker;
        let breaker = Recloser::custom()
            .error_rate(1.0)
            .closed_len(failures)
            .half_open_len(1)
            .open_wait(open_for)
            .build();
        Ok(Forward {
            inner: Arc::new(Inner {
                url,
                origin,
                name,
                filter: self.filter,
                signer: self.signer,
                source: self.source,
                headers: self.headers,
                permanent: self.permanent,
                timeout: self.timeout,
                slots: Semaphore::new(self.in_flight),
                breaker: AsyncRecloser::from(breaker),
                http,
                now: self.now,
            }),
        })
    }
}

impl fmt::Debug for ForwardBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL, which may hold a token.
        f.debug_struct("ForwardBuilder").finish_non_exhaustive()
    }
}

fn parse(url: &str) -> Result<Url, ConfigError> {
    let invalid = |reason: &str| Err(ConfigError::new("url", reason));
    match Url::parse(url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            invalid("is not an http or https URL: give one like https://example.com/events")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            invalid("has a user: remove it, and add the header authorization")
        }
        Ok(url) => Ok(url),
        Err(_) => invalid("is not a URL: give one like https://example.com/events"),
    }
}

/// Refuses an address that is not allowed, because the client asks no resolver for an address.
fn check_host(url: &Url, guard: &Guard) -> Result<(), ConfigError> {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse();
    match address {
        Ok(address) if !guard.allows(address) => Err(ConfigError::new(
            "url",
            format!("cannot be used: {}", AddressRefused { address }),
        )),
        _ => Ok(()),
    }
}

/// What describes the body and the connection.
const OWN_HEADERS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::HOST,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const OWN_NAMES: [&str; 2] = ["x-request-timestamp", "x-signature"];
