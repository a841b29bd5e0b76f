use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use crate::error::ClientError;
use crate::request::JobRequest;
use tower_pyannote::event::{Delivery, Text};
use tower_pyannote::{Kind, Output, Status, WebhookEvent};

/// A job that pyannoteAI took, and bills.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubmittedJob {
    /// The id of the job.
    pub job_id: Text,
    /// What kind of output it will have.
    pub kind: Kind,
    /// The status, `created` most likely.
    pub status: Status,
    /// What pyannoteAI warns of.
    pub warning: Option<Text>,
    /// Whether its webhook tells the status only, without the output.
    pub webhook_status_only: bool,
    /// When the answer came, by the client's clock.
    pub submitted_at: SystemTime,
    pub(crate) log_error: Option<Arc<dyn Error + Send + Sync>>,
}

impl SubmittedJob {
    /// Returns why the [`SubmissionLog`](crate::SubmissionLog) did not record the job, if it did not.
    #[must_use]
    pub fn log_error(&self) -> Option<&(dyn Error + Send + Sync + 'static)> {
        self.log_error.as_deref()
    }

    pub(crate) fn read(
        answer: &[u8],
        request: &JobRequest,
        submitted_at: SystemTime,
    ) -> Result<Self, ClientError> {
        let submitted: Submitted = serde_json::from_slice(answer)
            .ok()
            .filter(|submitted: &Submitted| !submitted.job_id.is_empty())
            .ok_or_else(|| ClientError::decode("it names no job"))?;
        Ok(Self {
            job_id: submitted.job_id,
            kind: request.kind(),
            status: Status::from(submitted.status.as_deref().unwrap_or_default()),
            warning: submitted.warning,
            webhook_status_only: request.is_status_only(),
            submitted_at,
            log_error: None,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Submitted {
    job_id: Text,
    status: Option<Text>,
    warning: Option<Text>,
}

/// A job as the API tells of it: what its webhook brings once it is over, and its dates.
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

    /// Returns how the job stands: `created`, `pending` and `running` are [`Status::Other`].
    #[must_use]
    pub fn status(&self) -> &Status {
        self.0.status()
    }

    /// Returns when the job was created, if the answer says so.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.0.created_at()
    }

    /// Returns when the job last changed, if the answer says so.
    #[must_use]
    pub fn updated_at(&self) -> Option<Timestamp> {
        self.0.updated_at()
    }

    /// Returns the output, `None` if there is none, or none yet.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        self.0.output()
    }

    /// Returns the answer as it was received.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        self.0.raw()
    }

    /// Returns when the answer came.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        self.0.received_at()
    }

    /// Returns the event that the job's webhook brings, `None` while the job is not over.
    ///
    /// It counts as received and signed when the answer came, and has the job's dates, which a webhook has not.
    #[must_use]
    pub fn event(&self) -> Option<WebhookEvent> {
        self.status().is_terminal().then(|| self.0.clone())
    }

    pub(crate) fn read(
        answer: Bytes,
        job_id: &str,
        received_at: SystemTime,
    ) -> Result<Self, ClientError> {
        let event = WebhookEvent::new(answer, Delivery::at(received_at))
            .map_err(|error| ClientError::decode("it is no job").with_source(error))?;
        if event.job_id() != job_id {
            return Err(ClientError::decode("it is another job"));
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
    /// Where the next page begins, `None` if this is the last.
    pub next_cursor: Option<Text>,
}

impl JobPage {
    pub(crate) fn read(answer: &[u8]) -> Result<Self, ClientError> {
        let page: Page = serde_json::from_slice(answer)
            .map_err(|_| ClientError::decode("it is no list of jobs"))?;
        let items = page.items.into_iter().map(|item| JobSummary {
            job_id: item.id,
            status: Status::from(item.status.as_deref().unwrap_or_default()),
            created_at: item.created_at.and_then(|date| date.parse().ok()),
        });
        Ok(Self {
            items: items.collect(),
            next_cursor: page.next_cursor.filter(|cursor| !cursor.is_empty()),
        })
    }
}

/// A job in a [`JobPage`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobSummary {
    /// The id of the job.
    pub job_id: Text,
    /// How the job stands.
    pub status: Status,
    /// When the job was created, if the list has a readable date.
    pub created_at: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    items: Vec<Item>,
    next_cursor: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    id: Text,
    status: Option<Text>,
    created_at: Option<Text>,
}

/// What the API says of the API key that it was asked with.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTest {
    /// The status, `OK` for example.
    pub status: Text,
    /// What it says besides.
    pub message: Text,
}

impl KeyTest {
    pub(crate) fn read(answer: &[u8]) -> Result<Self, ClientError> {
        let test: Test = serde_json::from_slice(answer)
            .map_err(|_| ClientError::decode("it is no test of a key"))?;
        Ok(Self {
            status: test.status.unwrap_or_default(),
            message: test.message.unwrap_or_default(),
        })
    }
}

#[derive(Deserialize)]
struct Test {
    status: Option<Text>,
    message: Option<Text>,
}
