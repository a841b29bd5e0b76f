use std::{path::PathBuf, time::Duration};

use tower_pyannote::{WebhookSecret, verify::SignatureEncoding};

use super::faults::Faults;

/// How a simulator behaves.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What deliveries are signed with.
    pub(crate) secret: WebhookSecret,
    pub(crate) host: String,
    /// 0 takes a free one.
    pub(crate) port: u16,
    /// All that is waited for is divided by it.
    pub(crate) time_scale: f64,
    /// Where uploads are kept; in a directory that goes with the simulator if not given.
    pub(crate) data_dir: Option<PathBuf>,
    /// The one key that is taken; any if not given.
    pub(crate) api_key: Option<String>,
    /// Requests a minute; `None` for as many as come.
    pub(crate) rate_limit: Option<u32>,
    /// What job ids, outputs and faults are made from.
    pub(crate) seed: u64,
    /// Of the audio that outputs are made of.
    pub(crate) duration: Duration,
    /// From submission to the end of a job.
    pub(crate) job_time: Duration,
    /// Bodies to answer with, in place of those made from the seed.
    pub(crate) bodies: Option<PathBuf>,
    pub(crate) encoding: SignatureEncoding,
    pub(crate) version_prefix: bool,
    /// Whether a retry bears the first attempt's timestamp and signature.
    pub(crate) sign_once: bool,
    /// How long a receiver may take to answer, in real time; 10 s divided by the time scale if not given.
    pub(crate) answer_timeout: Option<Duration>,
    /// How late a late delivery is.
    pub(crate) late_by: Duration,
    pub(crate) faults: Faults,
}

impl Config {
    pub(crate) fn new(secret: WebhookSecret) -> Self {
        Self {
            secret,
            host: "127.0.0.1".into(),
            port: 0,
            time_scale: 1.0,
            data_dir: None,
            api_key: None,
            rate_limit: Some(100),
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
}
