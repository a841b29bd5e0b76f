use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::runtime::Handle;
use tower_pyannote::event::Source;
use tower_pyannote::handler::EventPreparation;
use tower_pyannote::{HandlerError, Status, WebhookEvent};

use crate::client::Client;
use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::job::Job;

/// Fetches the output of an event that has only the status, before the handlers run.
///
/// Set it as the preparation of a [`HandlerRegistry`](tower_pyannote::HandlerRegistry). Handlers then get each event of a job
/// that succeeded with its output, although the job was submitted with `webhookStatusOnly`. Other events stay as they are.
///
/// 1. One request fetches the output for all handlers of an attempt, within the client's rate limit and timeouts. Closures given
///    to `on_status_only` do not run, because the event has an output then.
/// 2. The fetched event has the body of the API's answer, with the field `"fetched": true` added, so that an archived body says
///    where it came from. [`WebhookEvent::source`] is [`Source::Api`]. All else that came with the delivery stays: its times,
///    its retry, the attempt and the reference.
/// 3. If the request fails, no handler runs, and the error is retryable: an inbox tries again after its backoff, or after the
///    pause that the API asks for at 429. Each attempt fetches the output again, also if some handlers have succeeded before,
///    because the inbox keeps only the delivery, without the output.
/// 4. The error is permanent if the output no longer exists: the API answers 404 or 410, or the job ended more than 24 h ago. It
///    is permanent too if the output exceeds the client's [job limit](crate::ClientBuilder::with_job_limit).
///
/// Use it behind an inbox. Without one, pyannoteAI waits at most 10 s for the fetch and all handlers.
///
/// An attempt holds the output in memory, up to the client's job limit, in addition to the memory that an inbox counts.
///
/// # Example
///
/// ```
/// use pyannoteai_client::{Client, FetchOutput};
/// use tower_pyannote::{Diarization, HandlerRegistry, TypedEvent};
///
/// # fn registry(client: Client) -> Result<HandlerRegistry, tower_pyannote::ConfigError> {
/// let registry = HandlerRegistry::new()
///     .with_preparation("fetch_output", FetchOutput::new(client))?
///     .on_diarization("print", async |event: TypedEvent<Diarization>| {
///         println!("{}: {} turns", event.job_id(), event.output().diarization.len());
///         Ok(())
///     })?;
/// # Ok(registry)
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct FetchOutput {
    client: Client,
}

impl FetchOutput {
    /// Creates a preparation that fetches through a client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    async fn fetch(&self, event: &WebhookEvent) -> Result<WebhookEvent, HandlerError> {
        let since = |time| self.client.now().duration_since(time).unwrap_or_default();
        // The job ended before its event was received.
        if since(event.received_at()) >= OUTPUT_KEPT {
            return Err(HandlerError::permanent(TOO_OLD));
        }
        let job = self.client.job(event.job_id()).await.map_err(failed)?;
        if job.kind().is_some() {
            return prepared(&job, event).await;
        }
        let ended = job.updated_at().or(job.created_at());
        let ended = ended.and_then(|date| date.try_into().ok());
        match ended.is_some_and(|ended| since(ended) >= OUTPUT_KEPT) {
            true => Err(HandlerError::permanent(TOO_OLD)),
            false => Err(HandlerError::new("the api has no output of the job yet")),
        }
    }
}

impl EventPreparation for FetchOutput {
    async fn prepare(&self, event: WebhookEvent) -> Result<WebhookEvent, HandlerError> {
        match *event.status() == Status::Succeeded && event.kind().is_none() {
            true => self.fetch(&event).await,
            false => Ok(event),
        }
    }
}

impl fmt::Debug for FetchOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchOutput")
            .field("client", &self.client)
            .finish()
    }
}

/// Makes the event that the handlers get.
async fn prepared(job: &Job, event: &WebhookEvent) -> Result<WebhookEvent, HandlerError> {
    let answer = job.raw().clone();
    let delivery = event.delivery().clone().with_source(Source::Api);
    let is_small = answer.len() <= MAX_MADE_INLINE;
    let make = move || WebhookEvent::new(marked(&answer), delivery);
    let made = match is_small {
        true => make(),
        false => Handle::current().spawn_blocking(make).await?,
    };
    Ok(made?)
}

/// Adds the field that says where the body came from to an object that is not empty.
fn marked(answer: &[u8]) -> Bytes {
    let object = answer.trim_ascii_end();
    let object = object.strip_suffix(b"}").unwrap_or(object);
    let mut body = BytesMut::with_capacity(object.len() + MARK.len());
    body.extend_from_slice(object);
    body.extend_from_slice(MARK);
    body.freeze()
}

fn failed(error: ClientError) -> HandlerError {
    let delay = error.retry_after();
    let is_permanent = matches!(
        error.kind(),
        ClientErrorKind::NotFound | ClientErrorKind::TooLarge | ClientErrorKind::InvalidRequest
    );
    let error = HandlerError::new(NotFetched(error));
    match delay {
        _ if is_permanent => error.into_permanent(),
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

#[derive(Debug)]
struct NotFetched(ClientError);

impl fmt::Display for NotFetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the output of the job could not be fetched")
    }
}

impl std::error::Error for NotFetched {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

const MARK: &[u8] = br#","fetched":true}"#;

const TOO_OLD: &str =
    "the output of the job was deleted: pyannoteAI keeps it for 24 h after the end of the job";

/// How long pyannoteAI keeps an output.
const OUTPUT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// The check of a larger body runs on the blocking pool, because it takes about half a millisecond a MiB.
const MAX_MADE_INLINE: usize = 1024 * 1024;
