use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use pyannote_cli::{Failure, Signals};
use tower_pyannote::WebhookSecret;

use super::{
    common::{Signing, seconds},
    fault_flags::FaultFlags,
};
use crate::{Config, RateLimitStyle, Simulator, SimulatorError, limit::RateLimit};

/// Serve the API, run jobs and deliver webhooks until a signal stops the program
#[derive(Args)]
pub(super) struct Serve {
    /// The host to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// The port to listen on; 0 takes a free port
    #[arg(long, default_value_t = 8100)]
    port: u16,

    /// Make time faster by this factor, except for the expiry of presigned URLs: with 60, a minute takes a second
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,

    /// Keep uploads in this directory [default: a temporary directory, deleted at the end]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The only API key that is accepted [default: any key]
    #[arg(
        long,
        env = "PYANNOTEAI_SIMULATOR_API_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,

    /// API requests a minute to each endpoint, or `off` [default: 100, and 300 for reads of jobs]
    #[arg(long, value_name = "N", value_parser = rate_limit)]
    rate_limit: Option<RateLimit>,

    /// Count requests per endpoint in fixed windows, or all together in a sliding window, as pyannoteAI did before
    #[arg(long, value_name = "STYLE", default_value = "per-endpoint", value_parser = rate_limit_style())]
    rate_limit_style: RateLimitStyle,

    /// The seed of job ids, outputs and random faults
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// The length of the audio that outputs describe, at most 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    duration: u64,

    /// The time from the submission of a job to its end
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    job_time: u64,

    /// Take the outputs of jobs from the .json bodies in this directory [default: generate outputs]
    #[arg(long, value_name = "DIR")]
    bodies: Option<PathBuf>,

    #[command(flatten)]
    signing: Signing,

    /// Repeat the timestamp and signature of the first attempt in retries
    #[arg(long)]
    sign_once: bool,

    /// The timeout of a webhook, not divided by the time scale [default: 10 s, divided by the time scale]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    answer_timeout: Option<Duration>,

    /// The delay of --late
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    late_by: u64,

    #[command(flatten)]
    faults: FaultFlags,
}

impl Serve {
    /// Serves until a signal asks the program to stop.
    pub(super) async fn run(self, secret: WebhookSecret) -> Result<ExitCode, Failure> {
        // Listen before the address is printed, because its reader may send a signal at once.
        let mut signals = Signals::new()?;
        let simulator = Simulator::start(self.config(secret))
            .await
            .map_err(failure)?;
        let _ = writeln!(io::stdout(), "listening on {}", simulator.url());
        tracing::info!(address = %simulator.address(), "listening");

        let signal = signals.next().await;
        let jobs = simulator.jobs();
        let jobs = jobs.as_array().map_or(0, Vec::len);
        tracing::info!(signal, jobs, "stopping");
        tokio::select! {
            () = simulator.stop() => Ok(ExitCode::SUCCESS),
            signal = signals.next() => Err(Failure::run(format!("stopped at once by a second {signal}"))),
        }
    }

    fn config(self, secret: WebhookSecret) -> Config {
        Config {
            secret,
            host: self.host,
            port: self.port,
            time_scale: self.time_scale,
            data_dir: self.data_dir,
            api_key: self.api_key,
            rate_limit: self.rate_limit.unwrap_or(RateLimit::Documented),
            rate_limit_style: self.rate_limit_style,
            seed: self.seed,
            duration: Duration::from_secs(self.duration),
            job_time: Duration::from_secs(self.job_time),
            bodies: self.bodies,
            encoding: self.signing.sign_encoding,
            version_prefix: self.signing.version_prefix,
            sign_once: self.sign_once,
            answer_timeout: self.answer_timeout,
            late_by: Duration::from_secs(self.late_by),
            faults: self.faults.0,
        }
    }
}

/// Names the flag that set the value.
fn failure(error: SimulatorError) -> Failure {
    Failure::run(match &error {
        SimulatorError::TimeScale => format!("--time-scale: {error}"),
        SimulatorError::Duration => format!("--duration: {error}"),
        SimulatorError::RateLimit => format!("--rate-limit: {error}"),
        SimulatorError::AnswerTimeout => format!("--answer-timeout: {error}"),
        SimulatorError::Bodies { path, error } => format!("--bodies {}: {error}", path.display()),
        SimulatorError::DataDir { path, error } => {
            format!("--data-dir {}: {error}", path.display())
        }
        SimulatorError::Listen { host, port, error } => {
            format!("--host {host}, --port {port}: cannot listen there: {error}")
        }
        SimulatorError::Odds | SimulatorError::Client { .. } => error.to_string(),
    })
}

fn rate_limit_style() -> impl TypedValueParser<Value = RateLimitStyle> {
    PossibleValuesParser::new(["per-endpoint", "shared"]).map(|name| match &*name {
        "shared" => RateLimitStyle::Shared,
        _ => RateLimitStyle::PerEndpoint,
    })
}

fn rate_limit(value: &str) -> Result<RateLimit, &'static str> {
    if value == "off" {
        return Ok(RateLimit::Off);
    }
    match value.parse() {
        Ok(limit) if limit > 0 => Ok(RateLimit::PerMinute(limit)),
        _ => Err("give a whole number above 0, or off"),
    }
}
