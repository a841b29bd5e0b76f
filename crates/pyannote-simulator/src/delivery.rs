use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use reqwest::{StatusCode, Url};
use tower_pyannote::{WebhookSecret, event::RetryReason, testing::SignedRequest};

use crate::{
    faults::Fault,
    http::{self, Manner},
    jobs::{Attempt, Job, date},
    output,
    state::Simulated,
};

/// Delivers the webhook of a job, with retries, and returns whether it was accepted.
pub(crate) async fn deliver(simulated: &Arc<Simulated>, job: &Job) -> bool {
    let Some(webhook) = &job.submission.webhook else {
        return false;
    };
    let body = match output::of_webhook(simulated, job).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(job_id = job.id, %error, "cannot make the body of a webhook");
            return false;
        }
    };
    let count = AtomicUsize::new(0);
    let report = simulated
        .sender
        .deliver_with(body, |request| {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            attempt(simulated, job, webhook, request, first)
        })
        .await;
    report.accepted()
}

async fn attempt(
    simulated: &Simulated,
    job: &Job,
    webhook: &Url,
    request: SignedRequest,
    first: bool,
) -> Result<StatusCode, RetryReason> {
    let has = |fault| job.faults.contains(&fault);
    if has(Fault::Lost) || first && has(Fault::LostFirst) {
        let answer = Err(RetryReason::ConnectionFailed);
        Record::new(simulated, job, &request, false).answer = answer.clone();
        return answer;
    }
    let (request, manner) = match first {
        true => spoil(simulated, job, request),
        false => (request, Manner::Whole),
    };
    let send = || async {
        let mut record = Record::new(simulated, job, &request, true);
        record.answer = http::send(&simulated.http, webhook.clone(), &request, manner).await;
        record.answer.clone()
    };
    if has(Fault::Doubled) {
        let (answer, _) = tokio::join!(send(), send());
        return answer;
    }
    send().await
}

/// Applies the faults of a first attempt.
fn spoil(simulated: &Simulated, job: &Job, request: SignedRequest) -> (SignedRequest, Manner) {
    let has = |fault| job.faults.contains(&fault);
    let mut request = request;
    if has(Fault::WronglySigned) {
        let wrong = WebhookSecret::new("whs_of_another_team").expect("a secret without blanks");
        request = SignedRequest::new(&wrong, request.body().clone())
            .with_encoding(simulated.config.encoding)
            .with_version_prefix(simulated.config.version_prefix);
    }
    if has(Fault::Tampered) {
        // Change a digit of the job id, so that the body stays an event.
        let mut body = request.body().to_vec();
        let mut digits = body
            .iter_mut()
            .skip(10)
            .filter(|byte| byte.is_ascii_hexdigit());
        if let Some(digit) = digits.next() {
            *digit = if *digit == b'0' { b'1' } else { b'0' };
        }
        request = request.with_tampered_body(body);
    }
    let manner = if has(Fault::SlowLoris) {
        Manner::Trickling(simulated.clock)
    } else if has(Fault::Cut) {
        Manner::Cut
    } else {
        Manner::Whole
    };
    (request, manner)
}

/// Adds an attempt to its job, and writes the answer there when it is dropped.
struct Record<'a> {
    simulated: &'a Simulated,
    number: u64,
    at: usize,
    /// A timeout, unless the attempt ends before it is dropped.
    answer: Result<StatusCode, RetryReason>,
}

impl<'a> Record<'a> {
    fn new(simulated: &'a Simulated, job: &Job, request: &SignedRequest, sent: bool) -> Self {
        let retry = request.retry();
        let attempt = Attempt {
            at: date(SystemTime::now()),
            retry: retry.map(|retry| retry.number),
            reason: retry.and_then(|retry| retry.reason.as_ref().map(ToString::to_string)),
            sent,
            status: None,
            failure: None,
        };
        let mut at = 0;
        if let Some(job) = simulated.jobs().by_number(job.number) {
            at = job.attempts.len();
            job.attempts.push(attempt);
        }
        Self {
            simulated,
            number: job.number,
            at,
            answer: Err(RetryReason::HttpTimeout),
        }
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let mut jobs = self.simulated.jobs();
        let job = jobs.by_number(self.number);
        if let Some(attempt) = job.and_then(|job| job.attempts.get_mut(self.at)) {
            match &self.answer {
                Ok(status) => attempt.status = Some(status.as_u16()),
                Err(reason) => attempt.failure = Some(reason.to_string()),
            }
        }
    }
}
