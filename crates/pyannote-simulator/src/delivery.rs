use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use reqwest::{StatusCode, Url};
use tower_pyannote::{
    WebhookSecret,
    event::RetryReason,
    testing::{SignedRequest, WebhookSender},
};

use super::{
    faults::Fault,
    http::{self, Manner},
    jobs::{Attempt, Job, date},
    output,
    state::Simulated,
};

/// Delivers what a job ended with, as often as it takes; whether it was accepted in the end.
pub(super) async fn deliver(simulated: &Arc<Simulated>, job: &Job) -> bool {
    let Some(webhook) = &job.submission.webhook else {
        return false;
    };
    let config = &simulated.config;
    let body = match output::of_webhook(simulated, job).await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(job_id = job.id, %error, "no body");
            return false;
        }
    };
    let mut sender = WebhookSender::new(&config.secret)
        .with_clock(simulated.clock)
        .with_encoding(config.encoding)
        .with_version_prefix(config.version_prefix)
        .with_sign_once(config.sign_once);
    if let Some(timeout) = config.answer_timeout {
        match sender
            .clone()
            .with_timeout(simulated.clock.simulated(timeout))
        {
            Ok(patient) => sender = patient,
            Err(error) => tracing::error!(%error, "not that patient"),
        }
    }
    let count = AtomicUsize::new(0);
    let report = sender
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
        let note = Note::of(simulated, job, &request, false);
        return note.end(Err(RetryReason::ConnectionFailed));
    }
    let (request, manner) = match first {
        true => spoil(simulated, job, request),
        false => (request, Manner::Whole),
    };
    let send = || async {
        let note = Note::of(simulated, job, &request, true);
        note.end(http::send(&simulated.http, webhook.clone(), &request, manner).await)
    };
    if has(Fault::Doubled) {
        let (answer, _) = tokio::join!(send(), send());
        return answer;
    }
    send().await
}

fn spoil(simulated: &Simulated, job: &Job, request: SignedRequest) -> (SignedRequest, Manner) {
    let has = |fault| job.faults.contains(&fault);
    let mut request = request;
    if has(Fault::WronglySigned) {
        let wrong = WebhookSecret::new("whs_of_another_team")
            .unwrap_or_else(|_| simulated.config.secret.clone());
        request = SignedRequest::new(&wrong, request.body().clone())
            .with_encoding(simulated.config.encoding)
            .with_version_prefix(simulated.config.version_prefix);
    }
    if has(Fault::Tampered) {
        // It stays an event, of another job.
        let mut body = request.body().to_vec();
        if let Some(digit) = body
            .iter_mut()
            .skip(10)
            .find(|byte| byte.is_ascii_hexdigit())
        {
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

/// Writes down an attempt, and how it ended: as a timeout, if it was dropped.
struct Note<'a> {
    simulated: &'a Simulated,
    number: u64,
    at: usize,
    ended: bool,
}

impl<'a> Note<'a> {
    fn of(simulated: &'a Simulated, job: &Job, request: &SignedRequest, sent: bool) -> Self {
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
            ended: false,
        }
    }

    fn end(mut self, answer: Result<StatusCode, RetryReason>) -> Result<StatusCode, RetryReason> {
        self.write(&answer);
        answer
    }

    fn write(&mut self, answer: &Result<StatusCode, RetryReason>) {
        self.ended = true;
        let mut jobs = self.simulated.jobs();
        let job = jobs.by_number(self.number);
        if let Some(attempt) = job.and_then(|job| job.attempts.get_mut(self.at)) {
            match answer {
                Ok(status) => attempt.status = Some(status.as_u16()),
                Err(reason) => attempt.failure = Some(reason.to_string()),
            }
        }
    }
}

impl Drop for Note<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.write(&Err(RetryReason::HttpTimeout));
        }
    }
}
