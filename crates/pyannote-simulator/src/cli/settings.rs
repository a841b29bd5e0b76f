use std::{
    env,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use reqwest::Url;
use tower_pyannote::{SecretSet, WebhookSecret, testing::EventBuilder, verify::SignatureEncoding};

use crate::{app::Config, fault_flags::FaultFlags, trigger::Load};
use crate::failure::{Failure, read_env_file};

/// What the program is told: by flags first, then by the environment, then by `.env`.
pub(crate) struct Settings {
    pub(crate) debug: bool,
    pub(crate) command: Command,
}

pub(crate) enum Command {
    Serve(Box<Config>),
    Trigger(Box<Load>),
}

impl Settings {
    /// Reads them; `None` if it was only asked for help or version, which were then given.
    ///
    /// No other thread may run yet, as `.env` goes into the environment.
    pub(crate) fn read() -> Result<Option<Self>, Failure> {
        read_env_file()?;
        let flags = match Flags::try_parse() {
            Ok(flags) => flags,
            Err(error) if error.use_stderr() => {
                return Err(Failure::of_clap(&error, &Flags::command()));
            }
            Err(asked) => {
                let _ = write!(io::stdout(), "{asked}");
                return Ok(None);
            }
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

/// Behaves as pyannoteAI does, for development and tests.
#[derive(Parser)]
#[command(name = "simulator", version, after_help = AFTER_HELP, arg_required_else_help = false)]
struct Flags {
    /// Logs more; RUST_LOG, if set, says what instead
    #[arg(long, global = true)]
    debug: bool,

    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Serves the API, runs jobs and delivers webhooks, until it is stopped
    Serve(Box<Serve>),
    /// Delivers an event, or a load of them, without a job; fails if one is not answered 2xx
    Trigger(Box<Trigger>),
}

#[derive(Args)]
struct Serve {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8100)]
    port: u16,

    /// Divides all times but those of presigned addresses: at 60 a minute takes a second
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    time_scale: f64,

    /// Where uploads are kept; in a directory that goes with the simulator if not given
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The one API key that is taken; any if not given
    #[arg(
        long,
        env = "PYANNOTEAI_SIMULATOR_API_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,

    /// Requests a minute, or `off`
    #[arg(long, value_name = "N", default_value = "100", value_parser = rate_limit)]
    rate_limit: RateLimit,

    /// What job ids, outputs and faults are made from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// The length of the audio that outputs are made of, at most 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    duration: u64,

    /// How long a job takes
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    job_time: u64,

    /// Ends jobs with the bodies in this directory, in place of made-up ones
    #[arg(long, value_name = "DIR")]
    bodies: Option<PathBuf>,

    #[command(flatten)]
    signing: Signing,

    /// Sends a retry with the timestamp and signature of the first attempt
    #[arg(long)]
    sign_once: bool,

    /// How long a receiver may take to answer, not divided by the time scale; if not given, 10 s divided by it
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    answer_timeout: Option<Duration>,

    /// How late a late delivery is
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    late_by: u64,

    #[command(flatten)]
    faults: FaultFlags,
}

impl Serve {
    fn config(self, secret: WebhookSecret) -> Config {
        let mut config = Config::new(secret);
        config.host = self.host;
        config.port = self.port;
        config.time_scale = self.time_scale;
        config.data_dir = self.data_dir;
        config.api_key = self.api_key;
        config.rate_limit = self.rate_limit.0;
        config.seed = self.seed;
        config.duration = Duration::from_secs(self.duration);
        config.job_time = Duration::from_secs(self.job_time);
        config.bodies = self.bodies;
        config.encoding = self.signing.sign_encoding.into();
        config.version_prefix = self.signing.version_prefix;
        config.sign_once = self.sign_once;
        config.answer_timeout = self.answer_timeout;
        config.late_by = Duration::from_secs(self.late_by);
        config.faults = self.faults.faults();
        config
    }
}

#[derive(Args)]
struct Signing {
    /// How signatures are written
    #[arg(long, value_enum, default_value_t = Encoding::Hex)]
    sign_encoding: Encoding,

    /// Puts `v0=` before signatures
    #[arg(long)]
    version_prefix: bool,
}

#[derive(Args)]
struct Trigger {
    /// What the event is of
    #[arg(value_enum)]
    kind: EventKind,

    /// Where to deliver it
    #[arg(long)]
    url: Url,

    /// How many to deliver, each of a job of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,

    /// How many a second; as fast as they are answered if not given
    #[arg(long, value_name = "R", value_parser = rate)]
    rate: Option<f64>,

    /// How many at once, at most
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    concurrency: u16,

    /// What job ids and outputs are made from
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// The length of the audio that outputs are made of, at most 86400
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    duration: u64,

    /// Adds all that a diarization or identification can have: transcripts, exclusive turns, and every score
    #[arg(long)]
    full: bool,

    /// How long the receiver may take to answer
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
            .builder()
            .with_duration(Duration::from_secs(self.duration))
            .map_err(|error| Failure::usage(format!("--duration: {error}")))?
            .with_words(full)
            .with_exclusive(full)
            .with_turn_confidence(full)
            .with_confidence(full)
            .with_speech_probability(full)
            .with_crosstalk_probability(full)
            .with_speaker_probability(full);
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(Failure::usage("--url: give an address of http or https"));
        }
        Ok(Load {
            secret,
            event,
            url: self.url,
            count: self.count,
            rate: self.rate,
            concurrency: usize::from(self.concurrency),
            seed: self.seed,
            answer_timeout: self.answer_timeout,
            encoding: self.signing.sign_encoding.into(),
            version_prefix: self.signing.version_prefix,
        })
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum EventKind {
    Diarization,
    Identification,
    Voiceprint,
    StatusOnly,
    Failed,
    FailedWithError,
    Canceled,
    Unknown,
}

impl EventKind {
    fn builder(self) -> EventBuilder {
        match self {
            Self::Diarization => EventBuilder::diarization(),
            Self::Identification => EventBuilder::identification(),
            Self::Voiceprint => EventBuilder::voiceprint(),
            Self::StatusOnly => EventBuilder::status_only(),
            Self::Failed => EventBuilder::failed(),
            Self::FailedWithError => {
                EventBuilder::failed().with_error("the audio could not be loaded")
            }
            Self::Canceled => EventBuilder::canceled(),
            Self::Unknown => EventBuilder::unknown(),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    Hex,
    Base64,
}

impl From<Encoding> for SignatureEncoding {
    fn from(encoding: Encoding) -> Self {
        match encoding {
            Encoding::Hex => Self::Hex,
            Encoding::Base64 => Self::Base64,
        }
    }
}

/// `None` is off.
#[derive(Clone, Copy)]
struct RateLimit(Option<u32>);

fn rate_limit(value: &str) -> Result<RateLimit, &'static str> {
    if value == "off" {
        return Ok(RateLimit(None));
    }
    match value.parse() {
        Ok(limit) if limit > 0 => Ok(RateLimit(Some(limit))),
        _ => Err("give a whole number above 0, or off"),
    }
}

fn rate(value: &str) -> Result<f64, &'static str> {
    match value.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("give a number above 0"),
    }
}

fn seconds(value: &str) -> Result<Duration, &'static str> {
    let seconds = value.parse().ok().filter(|seconds| *seconds >= 0.001);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or("give a number above 0")
}

/// The first of the environment's secrets: the server's `.env` may hold the old one too.
fn secret() -> Result<WebhookSecret, Failure> {
    let _ = SecretSet::from_env(SECRET).map_err(Failure::usage)?;
    let secrets = env::var(SECRET).map_err(Failure::usage)?;
    let first = secrets.split(',').next().unwrap_or_default();
    WebhookSecret::new(first).map_err(Failure::usage)
}

const SECRET: &str = "PYANNOTEAI_WEBHOOK_SECRET";

const AFTER_HELP: &str = "\
Environment, or `.env` in this directory:
  PYANNOTEAI_WEBHOOK_SECRET  what deliveries are signed with; of several, with commas between them, the first";
