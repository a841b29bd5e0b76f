use std::{
    collections::BTreeMap,
    convert::identity,
    fmt,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressStyle};
use pyannote_cli::Failure;
use reqwest::{StatusCode, Url};
use tokio::{
    sync::Semaphore,
    task::{self, JoinSet},
    time::{self, MissedTickBehavior},
};
use tower_pyannote::{
    WebhookSecret,
    event::RetryReason,
    testing::{DeliveryReport, EventBuilder, WebhookSender},
};

use super::common::{Signing, seconds};
use crate::http::{self, Manner};

/// Deliver one webhook or many, without a job; exit with 1 if any is not answered with 2xx
#[derive(Args)]
pub(super) struct Trigger {
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
    /// Delivers each webhook once, and prints how many got which answer.
    pub(super) async fn run(self, secret: WebhookSecret) -> Result<ExitCode, Failure> {
        let event = self.event()?;
        let client = http::client().map_err(Failure::run)?;
        let sender = WebhookSender::new(&secret)
            .with_schedule([])
            .with_encoding(self.signing.sign_encoding)
            .with_version_prefix(self.signing.version_prefix)
            .with_timeout(self.answer_timeout)
            .map_err(Failure::usage)?;
        let sender = Arc::new(sender);
        let slots = Arc::new(Semaphore::new(self.concurrency.into()));
        let bar = progress(self.count);
        let mut pace = self.rate.map(|rate| {
            let mut pace = time::interval(Duration::from_secs_f64(rate.recip()));
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            pace
        });

        let mut deliveries = JoinSet::new();
        let mut outcomes = Outcomes::default();
        for number in 0..self.count {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            let slot = Arc::clone(&slots).acquire_owned().await;
            let event = event.clone().with_seed(self.seed.wrapping_add(number));
            let (sender, client, url) = (Arc::clone(&sender), client.clone(), self.url.clone());
            deliveries.spawn(async move {
                let _slot = slot;
                // The body of a day of audio takes seconds to make.
                let body = task::spawn_blocking(move || event.build()).await?;
                let send = |request| {
                    let (client, url) = (client.clone(), url.clone());
                    async move { http::send(&client, url, &request, Manner::Whole).await }
                };
                Ok::<_, task::JoinError>(sender.deliver_with(body, send).await)
            });
            while let Some(delivered) = deliveries.try_join_next() {
                outcomes.count(delivered.and_then(identity), &bar);
            }
        }
        while let Some(delivered) = deliveries.join_next().await {
            outcomes.count(delivered.and_then(identity), &bar);
        }
        bar.finish_and_clear();
        let _ = write!(io::stdout(), "{outcomes}");
        Ok(outcomes.code())
    }

    fn event(&self) -> Result<EventBuilder, Failure> {
        let full = self.full;
        let event = self
            .kind
            .clone()
            .with_duration(Duration::from_secs(self.duration))
            .map_err(|error| Failure::usage(format!("--duration: {error}")))?
            .with_words(full)
            .with_exclusive(full)
            .with_turn_confidence(full)
            .with_confidence(full)
            .with_speech_probability(full)
            .with_crosstalk_probability(full)
            .with_speaker_probability(full);
        Ok(event)
    }
}

/// The count of webhooks by answer.
#[derive(Default)]
struct Outcomes {
    answered: BTreeMap<StatusCode, u64>,
    unanswered: BTreeMap<String, u64>,
}

impl Outcomes {
    fn count(&mut self, delivered: Result<DeliveryReport, task::JoinError>, bar: &ProgressBar) {
        bar.inc(1);
        let last = delivered.ok().and_then(|mut report| report.attempts.pop());
        let answer = last.map(|last| last.answer);
        match answer.unwrap_or(Err(RetryReason::UnknownError)) {
            Ok(status) => *self.answered.entry(status).or_default() += 1,
            Err(reason) => *self.unanswered.entry(reason.to_string()).or_default() += 1,
        }
    }

    /// Returns 0 if every webhook was accepted, else 1.
    fn code(&self) -> ExitCode {
        let all_accepted =
            self.unanswered.is_empty() && self.answered.keys().all(StatusCode::is_success);
        ExitCode::from(u8::from(!all_accepted))
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (status, count) in &self.answered {
            let verdict = if status.is_success() {
                "accepted"
            } else {
                "refused"
            };
            writeln!(f, "{verdict} {}: {count}", status.as_u16())?;
        }
        for (reason, count) in &self.unanswered {
            writeln!(f, "unanswered {reason}: {count}")?;
        }
        Ok(())
    }
}

/// Returns a bar that is shown if stderr is a terminal and there is more than one webhook.
fn progress(count: u64) -> ProgressBar {
    if count == 1 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {per_sec}  {eta} left");
    let bar = ProgressBar::new(count);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
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

fn rate(value: &str) -> Result<f64, &'static str> {
    match value.parse() {
        Ok(rate) if (0.001..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("give a number from 0.001 to 1000000"),
    }
}

fn url(value: &str) -> Result<Url, &'static str> {
    let url = Url::parse(value).ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or("give an http or https URL")
}
