use std::{error::Error, time::SystemTime};

use http::StatusCode;

use super::{
    body,
    job::{Cause, Fetched, LISTED, Missing, OUTPUT_KEPT},
    telemetry,
};
use crate::{Commit, Inbox, pool::pool_for};
use pyannoteai_client::{Client, ClientError, ClientErrorKind, Job};
use tower_pyannote::{
    Status, WebhookEvent,
    event::{Delivery, Source},
};

/// Fetches a job and commits its event.
pub(super) async fn fetch(client: Client, inbox: Inbox, job: Missing) -> (Missing, Fetched) {
    let fetched = match try_fetch(&client, &inbox, &job).await {
        Ok(fetched) => fetched,
        Err(failure) => {
            telemetry::job_failed(&job, &*failure.error);
            Fetched::Failed(failure.cause)
        }
    };
    (job, fetched)
}

async fn try_fetch(client: &Client, inbox: &Inbox, job: &Missing) -> Result<Fetched, Failure> {
    // Long may have passed since it was found missing.
    let known = inbox.settled(std::slice::from_ref(&job.submission.job_id));
    if known.await.map_err(Failure::of)?.contains(&true) {
        return Ok(Fetched::Duplicate);
    }
    let now = client.now();
    let answer = match client.job(job.job_id()).await {
        Ok(answer) => answer,
        // The API may know it again, as after a wrong key, until the output is gone even of a job that took hours.
        Err(error) if error.kind() == ClientErrorKind::NotFound && job.age(now) >= LISTED => {
            return give_up(inbox, job, "the api does not know it any more").await;
        }
        Err(error) if job.is_hopeless(now) => {
            telemetry::job_failed(job, &error);
            return give_up(inbox, job, "it could not be fetched in time").await;
        }
        Err(error) => return Err(error.into()),
    };
    if !answer.status().is_terminal() {
        return match job.is_hopeless(now) {
            true => give_up(inbox, job, "it does not end").await,
            false => Ok(Fetched::Pending),
        };
    }
    let status_only = job.submission.status_only;
    // Its keys tell whether there is an output, without typing it.
    let kind = answer.event().and_then(|event| event.kind());
    if *answer.status() == Status::Succeeded && kind.is_none() && !status_only {
        // A success has an output, until that is deleted; to commit one without would keep its webhook out.
        return match is_deleted(&answer, job, now) {
            true if job.foreign => {
                inbox.give_up(&job.submission).await.map_err(Failure::of)?;
                Ok(Fetched::Expired)
            }
            true => give_up(inbox, job, "its output was deleted").await,
            false => Ok(Fetched::Pending),
        };
    }
    let event = event(answer, status_only).await;
    let event = event.map_err(Failure::of_job)?;
    match inbox.commit_fetched(&event).await.map_err(Failure::of)? {
        Commit::New => Ok(Fetched::New),
        Commit::Duplicate | Commit::Conflict => Ok(Fetched::Duplicate),
    }
}

fn is_deleted(answer: &Job, job: &Missing, now: SystemTime) -> bool {
    let ended = answer.updated_at().or(answer.created_at());
    let ended = ended.and_then(|date| date.try_into().ok());
    let ended = ended.unwrap_or(job.submission.submitted_at);
    now.duration_since(ended).unwrap_or_default() >= OUTPUT_KEPT
}

/// Makes the event that the job's webhook would have brought.
async fn event(
    answer: Job,
    status_only: bool,
) -> Result<WebhookEvent, Box<dyn Error + Send + Sync>> {
    let (received_at, answer) = (answer.received_at(), answer.raw().clone());
    let bytes = answer.len();
    let make = move || -> Result<WebhookEvent, Box<dyn Error + Send + Sync>> {
        let body = body::of_webhook(&answer, status_only)?;
        let delivery = Delivery::at(received_at).with_source(Source::Api);
        Ok(WebhookEvent::new(body, delivery)?)
    };
    match pool_for(bytes) {
        Some(pool) => pool.spawn_blocking(make).await?,
        None => make(),
    }
}

async fn give_up(inbox: &Inbox, job: &Missing, why: &'static str) -> Result<Fetched, Failure> {
    inbox.give_up(&job.submission).await.map_err(Failure::of)?;
    telemetry::lost(job, why);
    Ok(Fetched::Lost)
}

struct Failure {
    error: Box<dyn Error + Send + Sync>,
    cause: Cause,
}

impl Failure {
    fn of(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            error: error.into(),
            cause: Cause::Service,
        }
    }

    fn of_job(error: Box<dyn Error + Send + Sync>) -> Self {
        Self {
            error,
            cause: Cause::Job,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let cause = match error.kind() {
            ClientErrorKind::Unauthorized
            | ClientErrorKind::PaymentRequired
            | ClientErrorKind::Forbidden => Cause::Key,
            ClientErrorKind::InvalidRequest
            | ClientErrorKind::Rejected
            | ClientErrorKind::NotFound
            | ClientErrorKind::Decode
            | ClientErrorKind::TooLarge => Cause::Job,
            ClientErrorKind::UnexpectedStatus
                if error.status() == Some(StatusCode::UNPROCESSABLE_ENTITY) =>
            {
                Cause::Job
            }
            _ => Cause::Service,
        };
        Self {
            error: error.into(),
            cause,
        }
    }
}
