use std::{env, path::PathBuf, time::Duration};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use pyannote_cli::Failure;
use reqwest::Url;
use tower_pyannote::{SecretSet, WebhookSecret, testing::EventBuilder, verify::SignatureEncoding};

use super::{fault_flags::FaultFlags, trigger::Load};
use crate::Config;

/// The settings of the program.
pub(super) struct Settings {
    pub(super) debug: bool,
    pub(super) command: Command,
}

pub(super) enum Command {
    Serve(Box<Config>),
    Trigger(Box<Load>),
}

impl Settings {
    /// Reads the settings; `None` if `--help` or `--version` was printed.
    pub(super) fn read() -> Result<Option<Self>, Failure> {
        let Some(flags) = pyannote_cli::parse::<Flags>()? else {
            return Ok(None);
        };
        let secret = secret()?;
        let command = match flags.command {
            Subcommands::Serve(serve) => Command::Serve(Box::new(serve.config(secret))),
            Subcommands::Trigger(trigger) => Command::Trigger(Box::new(trigger.load(secret)?)),
        };
        let debug = flags.debug;
        Ok(Some(Self { debug, command }))
    }
}

/// A look-alike of pyannoteAI for development and tests
#[derive(Parser)]
#[command(name = "pyannote-simulator", version, after_help = AFTER_HELP, arg_required_else_help = false)]
struct Flags {
    /// Log more; RUST_LOG, if it is set, takes precedence
    #[arg(long, global = true)]
    debug: bool,

    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Serve the API, run jobs and deliver webhooks until a signal stops the program
    Serve(Box<Serve>),
    /// Deliver one webhook or many, without a job; exit with 1 if any is not answered with 2xx
    Trigger(Box<Trigger>),
}

#[derive(Args)]
struct Serve {
    /// The host to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// The port to listen on; 0 takes a free port
    #[arg(long, default_value_t = 8100)]
    port: u16,

    /// Makes time faster by this factor, except for the expiry of presigned URLs: with 60, a minute takes a second
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

    /// API requests a minute, or `off`
    // Clap makes an argument optional if its type is written `Option`, and only then.
    #[arg(long, value_name = "N", default_value = "100", value_parser = rate_limit)]
    rate_limit: std::option::Option<u32>,

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
    fn config(self, secret: WebhookSecret) -> Config {
        Config {
            secret,
            host: self.host,
            port: self.port,
            time_scale: self.time_scale,
            data_dir: self.data_dir,
            api_key: self.api_key,
            rate_limit: self.rate_limit,
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

#[derive(Args)]
struct Signing {
    /// The encoding of signatures
    #[arg(long, default_value = "hex", value_parser = encoding())]
    sign_encoding: SignatureEncoding,

    /// Write `v0=` before signatures
    #[arg(long)]
    version_prefix: bool,
}

#[derive(Args)]
struct Trigger {
    /// The kind of event
    #[arg(value_parser = kind())]
    kind: EventBuilder,

    /// The URL to deliver to
    #[arg(long, value_parser = url)]
    url: Url,

    /// How many webhooks to deliver, each of its own job
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// Webhooks a second [default: as many as the receiver answers]
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// The limit of webhooks in flight
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// The seed of job ids and outputs
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// The length of the audio that outputs describe, at most 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    duration: u64,

    /// Add everything that a diarization or identification can have: transcripts, exclusive turns, and all scores
    #[arg(long)]
    full: bool,

    /// The timeout of a webhook
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    answer_timeout: Duration,

    #[command(flatten)]
    signing: Signing,
}

impl Trigger {
    fn load(self, secret: WebhookSecret) -> Result<Load, Failure> {
        let full = self.full;
        let event = self
            .kind
            .with_duration(Duration::from_secs(self.duration))
            .map_err(|error| Failure::usage(format!("--duration: {error}")))?
            .with_words(full)
            .with_exclusive(full)
            .with_turn_confidence(full)
            .with_confidence(full)
            .with_speech_probability(full)
            .with_crosstalk_probability(full)
            .with_speaker_probability(full);
        Ok(Load {
            secret,
            event,
            url: self.url,
            count: self.count,
            rate: self.rate,
            concurrency: usize::from(self.concurrency),
            seed: self.seed,
            answer_timeout: self.answer_timeout,
            encoding: self.signing.sign_encoding,
            version_prefix: self.signing.version_prefix,
        })
    }
}

fn kind() -> impl TypedValueParser<Value = EventBuilder> {
    let kinds: [(&str, EventBuilder); 8] = [
        ("diarization", EventBuilder::diarization()),
        ("identification", EventBuilder::identification()),
        ("voiceprint", EventBuilder::voiceprint()),
        ("status-only", EventBuilder::status_only()),
        ("failed", EventBuilder::failed()),
        (
            "failed-with-error",
            EventBuilder::failed().with_error("the audio could not be loaded"),
        ),
        ("canceled", EventBuilder::canceled()),
        ("unknown", EventBuilder::unknown()),
    ];
    let names = kinds.clone().map(|(name, _)| name);
    PossibleValuesParser::new(names).try_map(move |given| {
        let found = kinds.iter().find(|(name, _)| *name == given);
        found.map(|(_, event)| event.clone()).ok_or("unknown kind")
    })
}

fn encoding() -> impl TypedValueParser<Value = SignatureEncoding> {
    PossibleValuesParser::new(["hex", "base64"]).map(|name| match &*name {
        "base64" => SignatureEncoding::Base64,
        _ => SignatureEncoding::Hex,
    })
}

fn rate_limit(value: &str) -> Result<Option<u32>, &'static str> {
    if value == "off" {
        return Ok(None);
    }
    match value.parse() {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ => Err("give a whole number above 0, or off"),
    }
}

fn rate(value: &str) -> Result<f64, &'static str> {
    match value.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0.001 to 1000000"),
    }
}

fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse().ok().filter(|seconds| *seconds >= 0.001);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("give a number of at least 0.001")
}

fn url(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or("give an http or https URL")
}

/// Returns the first of the secrets in the environment, because a receiver's `.env` may also hold the old one.
fn secret() -> Result<WebhookSecret, Failure> {
    let _ = SecretSet::from_env(SECRET).map_err(Failure::usage)?;
    let secrets = env::var(SECRET).map_err(Failure::usage)?;
    let first = secrets.split(',').next().unwrap_or_default();
    WebhookSecret::new(first).map_err(Failure::usage)
}

const SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const AFTER_HELP: &str = "\
Environment, or `.env` in this directory:
  PYANNOTEAI_WEBHOOK_SECRET  the secret that signs webhooks; of several, separated by commas, the first";
