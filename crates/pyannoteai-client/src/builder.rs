use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use tower_pyannote::clock::{Clock, SystemClock};
use zeroize::Zeroizing;

use crate::ConfigError;
use crate::address::Address;
use crate::api_key::ApiKey;
use crate::client::{Client, Shared};
use crate::limiter::{Limiter, RateLimit};
use crate::shared_clock::SharedClock;
use crate::submission_log::{DynSubmissionLog, SubmissionLog};
use crate::tls;
use crate::url::{is_loopback, is_secure};

/// The settings of a [`Client`], from [`Client::builder`].
///
/// # Example: a client of a simulator on this machine
///
/// ```
/// use std::time::Duration;
/// use pyannoteai_client::Client;
///
/// let client = Client::builder("sk_example")
///     .with_base_url("http://127.0.0.1:8001")?
///     .with_webhook("http://127.0.0.1:8000/webhook")?
///     .with_timeout(Duration::from_secs(10))?
///     .without_rate_limit()
///     .build()?;
///
/// let refused = Client::builder("sk_example").with_rate_limit(0).unwrap_err();
/// assert_eq!(refused.to_string(), "the client's rate limit is 0: give at least 1 request a minute");
/// # Ok::<(), pyannoteai_client::ConfigError>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    key: Zeroizing<String>,
    base_url: Option<Url>,
    insecure_http: bool,
    webhook: Option<Address>,
    connect_timeout: Duration,
    timeout: Duration,
    stall_timeout: Duration,
    rate_limit: RateLimit,
    max_retries: usize,
    job_limit: usize,
    log: Option<Arc<dyn DynSubmissionLog>>,
    clock: SharedClock,
    http: Option<reqwest::Client>,
}

impl Client {
    /// Makes a client with the default settings and an API key from pyannoteAI's dashboard.
    ///
    /// The key is overwritten in memory when the last clone is dropped. Buffers of connections are not overwritten.
    ///
    /// # Errors
    ///
    /// As [`ClientBuilder::build`].
    pub fn new(key: impl Into<String>) -> Result<Self, ConfigError> {
        Self::builder(key).build()
    }

    /// Makes a client with the default settings and the API key in the environment variable `PYANNOTEAI_API_KEY`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the variable is not set or not Unicode, and as [`ClientBuilder::build`].
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::builder_from_env()?.build()
    }

    /// Starts to build a client with an API key.
    pub fn builder(key: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(Zeroizing::new(key.into()))
    }

    /// Starts to build a client with the API key in the environment variable `PYANNOTEAI_API_KEY`.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the variable is not set or not Unicode.
    pub fn builder_from_env() -> Result<ClientBuilder, ConfigError> {
        ApiKey::from_env().map(ClientBuilder::new)
    }
}

impl ClientBuilder {
    pub(crate) fn new(key: Zeroizing<String>) -> Self {
        Self {
            key,
            base_url: None,
            insecure_http: false,
            webhook: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            rate_limit: RateLimit::Documented,
            max_retries: 3,
            job_limit: 128 * 1024 * 1024,
            log: None,
            clock: SharedClock::new(SystemClock),
            http: None,
        }
    }

    /// Sets the URL of the API. Default: `https://api.pyannote.ai`.
    ///
    /// A path in the URL is kept before the API's own paths. An `http` URL must have a loopback address, unless
    /// [`with_insecure_http`](Self::with_insecure_http) is set. For a loopback address the client uses no proxy and
    /// needs no certificates.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the URL is not `http` or `https`, or has a user, a query or a fragment.
    pub fn with_base_url(mut self, url: impl AsRef<str>) -> Result<Self, ConfigError> {
        self.base_url = Some(parse_base_url(url.as_ref())?);
        Ok(self)
    }

    /// Allows `http` to other machines, for the API and for its storage. Default: not allowed.
    ///
    /// The network can then read the API key, the audio and the results.
    pub fn with_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Sets the webhook of requests that have none. Default: none.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the URL is not `https`, nor `http` with a loopback address.
    pub fn with_webhook(mut self, url: impl AsRef<str>) -> Result<Self, ConfigError> {
        let webhook = Address::webhook(url.as_ref());
        self.webhook = Some(webhook.map_err(|error| ConfigError::new("webhook", error.reason()))?);
        Ok(self)
    }

    /// Sets the timeout for making a connection. Default: 10 s.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the timeout is zero.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.connect_timeout = above_zero("connect timeout", timeout)?;
        Ok(self)
    }

    /// Sets the timeout of one request, response included. Default: 60 s.
    ///
    /// The wait for the rate limit does not count. Each retry has the whole timeout.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the timeout is zero.
    pub fn with_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.timeout = above_zero("timeout", timeout)?;
        Ok(self)
    }

    /// Sets how long an upload or a download may make no progress. Default: 60 s.
    ///
    /// The total time of a transfer is not limited.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the timeout is zero.
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Result<Self, ConfigError> {
        self.stall_timeout = above_zero("stall timeout", timeout)?;
        Ok(self)
    }

    /// Sets the most requests in any 60 s to each group of endpoints. Default: pyannoteAI's limits, which are 300 for the
    /// group of job reads and 100 for each other group.
    ///
    /// The groups are `diarize`, `identify`, `voiceprint`, media, job reads with their list, and the key test. A group
    /// does not wait for another, so that polling never delays a submission. Within a group requests wait in the order
    /// of their calls. A tenth of the requests may be sent at once, the others are spread evenly.
    ///
    /// The client reads `X-RateLimit-Limit`, `-Remaining` and `-Reset` from every answer. It sends less than this
    /// setting if the API announces a lower limit, or if other programs have used up the limit. An older form of the
    /// API has one limit for all endpoints, with a reset in epoch seconds. If an answer has that form, all requests
    /// together also keep to that limit, and to at most this setting, by default 100.
    ///
    /// All clones of a client share the limits. Other clients and other processes do not.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the limit is 0.
    pub fn with_rate_limit(mut self, per_minute: u32) -> Result<Self, ConfigError> {
        let limit = NonZeroU32::new(per_minute).ok_or_else(|| {
            ConfigError::new("rate limit", "is 0: give at least 1 request a minute")
        })?;
        self.rate_limit = RateLimit::PerMinute(limit);
        Ok(self)
    }

    /// Turns off the client's own rate limits, so that requests wait only when the API's answers ask for it.
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = RateLimit::Off;
        self
    }

    /// Sets the maximum number of retries of a request. Default: 3.
    pub fn with_max_retries(mut self, retries: usize) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets the maximum size of a response with a job, in bytes. Default: 128 MiB.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the limit is 0.
    pub fn with_job_limit(mut self, bytes: usize) -> Result<Self, ConfigError> {
        if bytes == 0 {
            let reason = "is 0: give several megabytes, as an hour's meeting needs";
            return Err(ConfigError::new("job limit", reason));
        }
        self.job_limit = bytes;
        Ok(self)
    }

    /// Sets the log that records submitted jobs. Default: none.
    pub fn with_submission_log(mut self, log: impl SubmissionLog) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// Sets the clock of the rate limit, the backoff, the stall timeout and polling. Default: [`SystemClock`].
    ///
    /// The timeouts of single requests use Tokio's timer, not this clock.
    pub fn with_clock<C>(mut self, clock: C) -> Self
    where
        C: Clock + Send + Sync + 'static,
        C::Sleep: Send + 'static,
    {
        self.clock = SharedClock::new(clock);
        self
    }

    /// Sets the HTTP client, for a proxy or certificates of your own for example. Default: a client of its own.
    ///
    /// The HTTP client is a [`reqwest::Client`], so the version of reqwest is part of this crate's API on purpose. The
    /// crate re-exports it as [`reqwest`](crate::reqwest).
    ///
    /// Build it with `redirect(reqwest::redirect::Policy::none())` and `retry(reqwest::retry::never())`. A redirect could
    /// take the API key or the audio to another host, and a retry could submit a job twice. Its TLS, proxy and connection
    /// settings apply in place of the default ones, and [`with_connect_timeout`](Self::with_connect_timeout) has no
    /// effect. A timeout of the HTTP client also limits uploads and downloads.
    ///
    /// # Example: a proxy
    ///
    /// ```no_run
    /// use pyannoteai_client::{Client, reqwest};
    ///
    /// # fn build() -> Result<(), Box<dyn std::error::Error>> {
    /// let http = reqwest::Client::builder()
    ///     .proxy(reqwest::Proxy::https("http://proxy.example:3128")?)
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .retry(reqwest::retry::never())
    ///     .build()?;
    /// let client = Client::builder("sk_example").with_http_client(http).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_http_client(mut self, http: reqwest::Client) -> Self {
        self.http = Some(http);
        self
    }

    /// Builds the client without sending anything.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the API key is empty or has an invalid character, if the base URL is `http` to
    /// another machine without [`with_insecure_http`](Self::with_insecure_http), or if no HTTP client is set and this
    /// machine has no certificates to verify the API's certificate.
    pub fn build(self) -> Result<Client, ConfigError> {
        let key = ApiKey::new(&self.key)?;
        let base_url = match &self.base_url {
            Some(url) => url.clone(),
            None => parse_base_url(DEFAULT_BASE_URL)?,
        };
        if !is_secure(&base_url) && !self.insecure_http {
            return Err(ConfigError::new(
                "base url",
                "is http to another machine and would reveal the api key: give https, or allow insecure http",
            ));
        }
        let http = match &self.http {
            Some(http) => http.clone(),
            None => self.default_http(&base_url)?,
        };
        Ok(Client {
            shared: Arc::new(Shared {
                http,
                base_url,
                key,
                insecure_http: self.insecure_http,
                webhook: self.webhook,
                timeout: self.timeout,
                stall_timeout: self.stall_timeout,
                limiter: Limiter::new(self.rate_limit, self.clock.clone()),
                max_retries: self.max_retries,
                job_limit: self.job_limit,
                log: self.log,
                clock: self.clock,
            }),
        })
    }

    fn default_http(&self, base_url: &Url) -> Result<reqwest::Client, ConfigError> {
        let encrypted = base_url.scheme() == "https";
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("pyannoteai-client/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .https_only(encrypted && !self.insecure_http)
            // A redirect could take the key to another host, and a retry could submit a job twice.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tls_backend_preconfigured(tls::config(encrypted)?);
        if is_loopback(base_url) {
            http = http.no_proxy();
        }
        http.build().map_err(|error| {
            let error = error.without_url();
            ConfigError::new("http client", format!("cannot be built: {error}"))
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBuilder { key: [redacted], .. }")
    }
}

fn parse_base_url(url: &str) -> Result<Url, ConfigError> {
    let invalid = |reason: &str| Err(ConfigError::new("base url", reason));
    match Url::parse(url) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            invalid("is not an http or https url: give one like https://api.pyannote.ai")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            invalid("has a user: remove it, because the api key authenticates")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            invalid("has a query or a fragment: give only a host and a path")
        }
        Ok(url) => Ok(url),
        Err(_) => invalid("is not a url: give one like https://api.pyannote.ai"),
    }
}

fn above_zero(setting: &'static str, timeout: Duration) -> Result<Duration, ConfigError> {
    match timeout.is_zero() {
        true => Err(ConfigError::new(setting, "is zero: give a longer time")),
        false => Ok(timeout),
    }
}

const DEFAULT_BASE_URL: &str = "https://api.pyannote.ai";
