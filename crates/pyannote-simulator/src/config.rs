use std::{fmt, path::PathBuf, time::Duration};

use tower_pyannote::{WebhookSecret, verify::SignatureEncoding};

use crate::{
    faults::Faults,
    limit::{RateLimit, RateLimitStyle},
};

/// The settings of a [`Simulator`](crate::Simulator).
///
/// [`Simulator::start`](crate::Simulator::start) checks them.
///
/// # Example: an hour of audio, processed in a tenth of a second
///
/// ```
/// use std::time::Duration;
/// use pyannote_simulator::{Config, Fault, Faults, Odds};
/// use tower_pyannote::WebhookSecret;
///
/// let config = Config::new(WebhookSecret::new("whs_example")?)
///     .with_duration(Duration::from_secs(3600))
///     .with_job_time(Duration::from_secs(60))
///     .with_time_scale(600.0)
///     .with_faults(Faults::default().with(Fault::LostFirst, Odds::Percent(10.0)));
/// # Ok::<(), tower_pyannote::verify::SecretError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Config {
    pub(crate) secret: WebhookSecret,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) time_scale: f64,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) api_key: Option<String>,
    pub(crate) rate_limit: RateLimit,
    pub(crate) rate_limit_style: RateLimitStyle,
    pub(crate) seed: u64,
    pub(crate) duration: Duration,
    pub(crate) job_time: Duration,
    pub(crate) bodies: Option<PathBuf>,
    pub(crate) encoding: SignatureEncoding,
    pub(crate) version_prefix: bool,
    pub(crate) sign_once: bool,
    pub(crate) answer_timeout: Option<Duration>,
    pub(crate) late_by: Duration,
    pub(crate) faults: Faults,
}

impl Config {
    /// Creates the default settings. The simulator signs webhooks with `secret`.
    pub fn new(secret: WebhookSecret) -> Self {
        Self {
            secret,
            host: "127.0.0.1".into(),
            port: 0,
            time_scale: 1.0,
            data_dir: None,
            api_key: None,
            rate_limit: RateLimit::Documented,
            rate_limit_style: RateLimitStyle::default(),
            seed: 0,
            duration: Duration::from_secs(120),
            job_time: Duration::from_secs(4),
            bodies: None,
            encoding: SignatureEncoding::Hex,
            version_prefix: false,
            sign_once: false,
            answer_timeout: None,
            late_by: Duration::from_secs(60 * 60),
            faults: Faults::default(),
        }
    }

    /// Sets the host to listen on. Default: `127.0.0.1`.
    pub fn with_host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Sets the port to listen on. Default: 0, which takes a free port.
    pub fn with_port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets by how much time is faster, from 0.001 to 1,000,000. Default: 1.
    ///
    /// The factor divides the time of jobs, the delays between retries, the timeout of webhooks, the window of the rate
    /// limit, and the time for which outputs and uploads are kept. It does not divide the hour for which a presigned URL
    /// is valid.
    pub fn with_time_scale(mut self, factor: f64) -> Self {
        self.time_scale = factor;
        self
    }

    /// Sets the directory that keeps uploads when the simulator stops. Default: a temporary directory, which the simulator
    /// deletes.
    pub fn with_data_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(dir.into());
        self
    }

    /// Sets the only API key that is accepted. Default: any key is accepted, but a request needs one.
    pub fn with_api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Sets how many API requests a minute are accepted, at least 1. Default: 100, and 300 for reads of jobs.
    ///
    /// The limit is for each endpoint, or with [`RateLimitStyle::Shared`] for all together, and then 100 by default.
    pub fn with_rate_limit(mut self, per_minute: u32) -> Self {
        self.rate_limit = RateLimit::PerMinute(per_minute);
        self
    }

    /// Accepts any number of API requests.
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = RateLimit::Off;
        self
    }

    /// Sets how requests are counted for the rate limit. Default: [`RateLimitStyle::PerEndpoint`].
    pub fn with_rate_limit_style(mut self, style: RateLimitStyle) -> Self {
        self.rate_limit_style = style;
        self
    }

    /// Sets the seed of job ids, outputs and random faults. Default: 0.
    ///
    /// The same seed and the same submissions in the same order give the same ids, outputs and faults.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the length of the audio that outputs describe, at most 24 h. Default: 120 s.
    pub fn with_duration(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// Sets the time from the submission of a job to its end. Default: 4 s.
    pub fn with_job_time(mut self, time: Duration) -> Self {
        self.job_time = time;
        self
    }

    /// Sets a directory of `.json` bodies. Default: none, outputs are generated.
    ///
    /// Jobs that succeed take their outputs from the bodies of their kind, in turn by file name. A kind without a body
    /// keeps its generated outputs.
    pub fn with_bodies(mut self, dir: impl Into<PathBuf>) -> Self {
        self.bodies = Some(dir.into());
        self
    }

    /// Sets the encoding of signatures. Default: hexadecimal.
    pub fn with_encoding(mut self, encoding: SignatureEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets whether `v0=` precedes a signature. Default: no.
    pub fn with_version_prefix(mut self, version_prefix: bool) -> Self {
        self.version_prefix = version_prefix;
        self
    }

    /// Sets whether retries repeat the timestamp and signature of the first attempt. Default: no, each attempt is signed
    /// when it is sent.
    pub fn with_sign_once(mut self, sign_once: bool) -> Self {
        self.sign_once = sign_once;
        self
    }

    /// Sets the timeout of a webhook, above 0, in real time: the time scale does not divide it. Default: 10 s divided by
    /// the time scale.
    pub fn with_answer_timeout(mut self, timeout: Duration) -> Self {
        self.answer_timeout = Some(timeout);
        self
    }

    /// Sets the delay of [`Fault::Late`](crate::Fault::Late). Default: 1 h.
    pub fn with_late_by(mut self, delay: Duration) -> Self {
        self.late_by = delay;
        self
    }

    /// Sets the faults. Default: none.
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The API key must not be shown.
        f.debug_struct("Config")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("time_scale", &self.time_scale)
            .field("seed", &self.seed)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
