use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use tower_pyannote::event::{Delivery, JobMetadata, Source, Text};
use tower_pyannote::{Kind, Output, Status, WebhookEvent};

use crate::error::ClientError;
use crate::media::MediaKey;
use crate::request::JobRequest;

/// A job that pyannoteAI accepted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubmittedJob {
    /// The id of the job.
    pub job_id: Text,
    /// The kind of the job's output.
    pub kind: Kind,
    /// The status, usually `created`.
    pub status: Status,
    /// A warning from pyannoteAI.
    pub warning: Option<Text>,
    /// Whether the job's webhook has only the status, without the output.
    pub webhook_status_only: bool,
    /// When the response arrived, by the client's clock.
    pub submitted_at: SystemTime,
    /// The reference of the request.
    pub reference: Option<Text>,
    /// The JSON of the request.
    pub metadata: Option<JobMetadata>,
    /// The key of the audio file, if it is in pyannoteAI's temporary storage.
    pub media: Option<MediaKey>,
    /// The id of the [`SubmissionIntent`](crate::SubmissionIntent), if the log recorded one.
    pub intent_id: Option<Text>,
    pub(crate) log_error: Option<Arc<dyn Error + Send + Sync>>,
}

impl SubmittedJob {
    /// Returns the error of the [`SubmissionLog`](crate::SubmissionLog), if it did not record the job.
    #[must_use]
    pub fn log_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.log_error.as_deref()
    }

    pub(crate) fn read(
        response: &[u8],
        request: &JobRequest,
        submitted_at: SystemTime,
    ) -> Result<Self, ClientError> {
        let submitted: SubmitResponse = serde_json::from_slice(response)
            .ok()
            .filter(|submitted: &SubmitResponse| !submitted.job_id.is_empty())
            .ok_or_else(|| ClientError::decode("no job id"))?;
        Ok(Self {
            job_id: submitted.job_id,
            kind: request.kind(),
            status: status(submitted.status),
            warning: submitted.warning,
            webhook_status_only: request.is_status_only(),
            submitted_at,
            reference: request.reference().cloned(),
            metadata: request.metadata().cloned(),
            media: MediaKey::of_url(request.url()),
            intent_id: None,
            log_error: None,
        })
    }
}

/// A job with its status and dates, and with its output once it ended.
///
/// # Example
///
/// ```no_run
/// use pyannoteai_client::{Client, ClientError};
///
/// # async fn look(client: Client) -> Result<(), ClientError> {
/// let job = client.job("55976e72").await?;
/// match job.event() {
///     Some(event) => println!("{event:?}"),
///     None => println!("{} since {:?}", job.status(), job.updated_at()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Job(WebhookEvent);

impl Job {
    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> &str {
        self.0.job_id()
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> &Status {
        self.0.status()
    }

    /// Returns when the job was created, if the response has a valid date.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.created_at()
    }

    /// Returns when the job last changed, if the response has a valid date.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.0.updated_at()
    }

    /// Returns the kind of the output without typing it, if the job has one.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.0.kind()
    }

    /// Returns the output, if the job has one.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        self.0.output()
    }

    /// Returns the body of the response.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        self.0.raw()
    }

    /// Returns when the response arrived, by the client's clock.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.0.received_at()
    }

    /// Returns the event of the job's webhook, or `None` if the job has not ended.
    ///
    /// The event's times of receipt and signature are the time of the response. Unlike the event of a webhook it has
    /// the job's dates.
    #[must_use]
    pub fn event(&self) -> Option<WebhookEvent> {
        self.status().is_terminal().then(|| self.0.clone())
    }

    pub(crate) fn read(
        response: Bytes,
        job_id: &str,
        received_at: SystemTime,
    ) -> Result<Self, ClientError> {
        let delivery = Delivery::at(received_at).with_source(Source::Api);
        let event = WebhookEvent::new(response, delivery)
            .map_err(|error| ClientError::decode("not a job").with_source(error))?;
        if event.job_id() != job_id {
            return Err(ClientError::decode("a job of another id"));
        }
        Ok(Self(event))
    }
}

/// A page of the list of jobs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobPage {
    /// The jobs, without their outputs.
    pub items: Vec<JobSummary>,
    /// The cursor of the next page, or `None` on the last page.
    pub next_cursor: Option<Text>,
}

impl JobPage {
    pub(crate) fn read(response: &[u8]) -> Result<Self, ClientError> {
        let list: ListResponse = serde_json::from_slice(response)
            .map_err(|_| ClientError::decode("not a list of jobs"))?;
        let items = list.items.into_iter().map(|item| JobSummary {
            job_id: item.id,
            status: status(item.status),
            created_at: item.created_at.and_then(|date| date.parse().ok()),
        });
        Ok(Self {
            items: items.collect(),
            next_cursor: list.next_cursor.filter(|cursor| !cursor.is_empty()),
        })
    }
}

/// A job in a [`JobPage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobSummary {
    /// The id of the job.
    pub job_id: Text,
    /// The status of the job.
    pub status: Status,
    /// When the job was created, if the list has a valid date.
    pub created_at: Option<Timestamp>,
}

/// The API's reply to a test of the API key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTest {
    /// The status, `OK` for example.
    pub status: Text,
    /// The message.
    pub message: Text,
}

impl KeyTest {
    pub(crate) fn read(response: &[u8]) -> Result<Self, ClientError> {
        let test: KeyTestResponse = serde_json::from_slice(response)
            .map_err(|_| ClientError::decode("not the result of a key test"))?;
        Ok(Self {
            status: test.status.unwrap_or_default(),
            message: test.message.unwrap_or_default(),
        })
    }
}

fn status(text: Option<Text>) -> Status {
    Status::from(text.as_deref().unwrap_or_default())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubmitResponse {
    job_id: Text,
    status: Option<Text>,
    warning: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListResponse {
    items: Vec<ListItem>,
    next_cursor: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListItem {
    id: Text,
    status: Option<Text>,
    created_at: Option<Text>,
}

#[derive(Deserialize)]
struct KeyTestResponse {
    status: Option<Text>,
    message: Option<Text>,
}
