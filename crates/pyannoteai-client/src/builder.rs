use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use zeroize::Zeroizing;

use crate::ConfigError;
use crate::address::{Address, is_loopback, is_secure};
use crate::client::{Client, Inner};
use crate::key::ApiKey;
use crate::limiter::Limiter;
use crate::log::{AnySubmissionLog, SubmissionLog};
use crate::time::Time;
use tower_pyannote::clock::{Clock, SystemClock};

/// The settings of a [`Client`], from [`Client::builder`].
///
/// # Example: for a simulator on this machine
///
/// ```
/// use std::time::Duration;
/// use pyannoteai_client::Client;
///
/// let client = Client::builder("sk_example")
///     .with_base_url("http://127.0.0.1:8001")
///     .with_webhook("http://127.0.0.1:8000/webhook")
///     .with_timeout(Duration::from_secs(10))
///     .without_rate_limit()
///     .build()?;
///
/// assert!(Client::builder("sk_example").with_base_url("http://example.com").build().is_err());
/// # Ok::<(), pyannoteai_client::ConfigError>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    key: Zeroizing<String>,
    base_url: String,
    insecure_http: bool,
    webhook: Option<String>,
    connect_timeout: Duration,
    timeout: Duration,
    stall_timeout: Duration,
    rate_limit: Option<u32>,
    max_retries: usize,
    job_limit: usize,
    log: Option<Arc<dyn AnySubmissionLog>>,
    time: Time,
}

impl ClientBuilder {
    pub(crate) fn new(key: Zeroizing<String>) -> Self {
        Self {
            key,
            base_url: BASE_URL.to_owned(),
            insecure_http: false,
            webhook: None,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(60),
            rate_limit: Some(100),
            max_retries: 3,
            job_limit: 128 * 1024 * 1024,
            log: None,
            time: Time::new(SystemClock),
        }
    }

    /// Sets where the API is, `https://api.pyannote.ai` by default; a path is kept before those of the API.
    ///
    /// It must be `https`, or `http` on a loopback address. With the latter no proxy is used, and a machine without
    /// certificates will do.
    pub fn with_base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// Allows `http` to other machines, for the API and for its storage. Default: not allowed.
    ///
    /// The API key, the audio and the results can then be read on the way.
    pub fn with_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Sets the webhook of jobs that name none. Default: none.
    pub fn with_webhook(mut self, url: impl Into<String>) -> Self {
        self.webhook = Some(url.into());
        self
    }

    /// Sets how long it may take to connect, 10 s by default.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets how long one request may take, answer included, 60 s by default. Waiting for the rate limit does not count,
    /// and each repetition has this time anew.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long an upload or a download may stand still, 60 s by default; how long it takes is not limited.
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Sets how many requests go out in any 60 s, 100 by default, which is what pyannoteAI allows.
    ///
    /// A tenth of them may go out at once; the others follow evenly. Requests wait for their turn, in order. All clones
    /// of a client share the limit, other clients and other processes do not.
    pub fn with_rate_limit(mut self, per_minute: u32) -> Self {
        self.rate_limit = Some(per_minute);
        self
    }

    /// Limits the rate only when the API asks for it.
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self
    }

    /// Sets how often a request is repeated at most, 3 times by default, after growing delays.
    pub fn with_max_retries(mut self, retries: usize) -> Self {
        self.max_retries = retries;
        self
    }

    /// Sets how large a job's answer may be, 128 MiB by default.
    pub fn with_job_limit(mut self, bytes: usize) -> Self {
        self.job_limit = bytes;
        self
    }

    /// Sets what records the jobs that are submitted. Default: nothing.
    pub fn with_submission_log(mut self, log: impl SubmissionLog) -> Self {
        self.log = Some(Arc::new(log));
        self
    }

    /// Sets the clock that the rate limit, the delays and polling go by, [`SystemClock`] by default.
    ///
    /// The time that one request may take is Tokio's, whatever the clock.
    pub fn with_clock<C>(mut self, clock: C) -> Self
    where
        C: Clock + Send + Sync + 'static,
        C::Sleep: Send + 'static,
    {
        self.time = Time::new(clock);
        self
    }

    /// Makes the client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// The setting that cannot work, by name; or this machine has no certificates to know pyannoteAI by.
    pub fn build(self) -> Result<Client, ConfigError> {
        let key = ApiKey::new(&self.key)?;
        let base = self.base()?;
        let webhook = self.webhook.as_deref().map(Address::of_webhook).transpose();
        let webhook = webhook.map_err(|error| invalid("webhook", error.reason()))?;
        for (setting, timeout) in [
            ("connect_timeout", self.connect_timeout),
            ("timeout", self.timeout),
            ("stall_timeout", self.stall_timeout),
        ] {
            if timeout.is_zero() {
                return Err(invalid(setting, "is zero: give a time above zero"));
            }
        }
        let zero = || invalid("rate limit", "is 0: give at least 1 a minute, or none");
        let rate_limit = match self.rate_limit {
            Some(limit) => Some(NonZeroU32::new(limit).ok_or_else(zero)?),
            None => None,
        };
        if self.job_limit == 0 {
            return Err(invalid("job limit", "is 0: a real meeting takes megabytes"));
        }
        let http = self.http(&base)?;
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                base,
                key,
                insecure_http: self.insecure_http,
                webhook,
                timeout: self.timeout,
                stall_timeout: self.stall_timeout,
                limiter: Limiter::new(rate_limit, self.time.clone()),
                max_retries: self.max_retries,
                job_limit: self.job_limit,
                log: self.log,
                time: self.time,
            }),
        })
    }

    fn base(&self) -> Result<Url, ConfigError> {
        let wrong = |reason| invalid("base url", reason);
        let url = Url::parse(&self.base_url).map_err(|_| wrong("is no url"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("is neither https nor http"));
        }
        if !is_secure(&url) && !self.insecure_http {
            return Err(wrong(
                "is http to another machine, which would show it the api key: give https, or allow it",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("has a user: the api key is all that is sent"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("has a query or a fragment: give a host and a path"));
        }
        Ok(url)
    }

    fn http(&self, base: &Url) -> Result<reqwest::Client, ConfigError> {
        let encrypted = base.scheme() == "https";
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("tower-pyannote/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.connect_timeout)
            .https_only(encrypted && !self.insecure_http)
            // Another host must not get the key, and a submission must not be sent twice.
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .tls_backend_preconfigured(tls(encrypted)?);
        if is_loopback(base) {
            http = http.no_proxy();
        }
        http.build().map_err(|error| {
            let error = error.without_url();
            invalid("http client", &format!("cannot be made: {error}"))
        })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientBuilder { key: [redacted], .. }")
    }
}

/// TLS by ring, with the certificates of this machine. If they are not needed there may be none; nothing is trusted then.
fn tls(required: bool) -> Result<ClientConfig, ConfigError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let failed = |error: rustls::Error| {
        let reason = format!("cannot be set up: {error}; install this machine's certificates");
        invalid("tls", &reason)
    };
    let versions = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let config = match versions.clone().with_platform_verifier() {
        Ok(config) => config,
        Err(error) if required => return Err(failed(error)),
        Err(_) => versions.with_root_certificates(RootCertStore::empty()),
    };
    Ok(config.with_no_client_auth())
}

pub(crate) fn invalid(setting: &'static str, reason: &str) -> ConfigError {
    ConfigError::InvalidSetting {
        setting,
        reason: reason.to_owned(),
    }
}

const BASE_URL: &str = "https://api.pyannote.ai";
