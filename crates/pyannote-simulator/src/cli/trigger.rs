use std::{
    collections::BTreeMap,
    convert::identity,
    fmt,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
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
    verify::SignatureEncoding,
};

use crate::http::{self, Manner};

/// The webhooks to deliver.
pub(super) struct Load {
    pub(super) secret: WebhookSecret,
    pub(super) event: EventBuilder,
    pub(super) url: Url,
    pub(super) count: u64,
    pub(super) rate: Option<f64>,
    pub(super) concurrency: usize,
    pub(super) seed: u64,
    pub(super) answer_timeout: Duration,
    pub(super) encoding: SignatureEncoding,
    pub(super) version_prefix: bool,
}

/// Delivers each webhook once, and prints how many got which answer.
pub(super) async fn trigger(load: Load) -> Result<ExitCode, Failure> {
    let client = http::client().map_err(Failure::run)?;
    let sender = WebhookSender::new(&load.secret)
        .with_schedule([])
        .with_encoding(load.encoding)
        .with_version_prefix(load.version_prefix)
        .with_timeout(load.answer_timeout)
        .map_err(Failure::usage)?;
    let sender = Arc::new(sender);
    let slots = Arc::new(Semaphore::new(load.concurrency));
    let bar = progress(load.count);
    let mut pace = load.rate.map(|rate| {
        let mut pace = time::interval(Duration::from_secs_f64(rate.recip()));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        pace
    });

    let mut deliveries = JoinSet::new();
    let mut outcomes = Outcomes::default();
    for number in 0..load.count {
        if let Some(pace) = &mut pace {
            pace.tick().await;
        }
        let slot = Arc::clone(&slots).acquire_owned().await;
        let event = load.event.clone().with_seed(load.seed.wrapping_add(number));
        let (sender, client, url) = (Arc::clone(&sender), client.clone(), load.url.clone());
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
