use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::Client;
use crate::ConfigError;
use crate::builder::invalid;
use crate::desk::Desk;
use crate::error::ClientError;
use crate::pending::{PendingJob, Polls};
use crate::request::JobRequest;
use tower_pyannote::WebhookEvent;
use tower_pyannote::event::Text;
use tower_pyannote::{HandlerError, WebhookHandler};

/// Submits jobs that can be awaited: by their webhook or by polling, whichever comes first.
///
/// It is a [`WebhookHandler`]: register a clone of it in the [`HandlerRegistry`](tower_pyannote::HandlerRegistry) that receives
/// the jobs' webhooks. Without that, or where another process receives the webhook, polling brings the event.
///
/// A webhook that comes before the submission is answered is kept for it, in bounds: if it is lost, polling brings it.
/// The event is handed on, not taken: all other handlers see it too, and it may come to them again.
///
/// Cloning is cheap, and clones share the jobs that are awaited.
///
/// # Example
///
/// ```no_run
/// use tower_pyannote::HandlerRegistry;
/// use pyannoteai_client::{Client, DiarizeRequest, JobWaiter};
///
/// # async fn submit() -> Result<(), Box<dyn std::error::Error>> {
/// let waiter = JobWaiter::new(Client::from_env()?);
/// let registry = HandlerRegistry::new().register("waiter", waiter.clone())?;
/// // Serve the registry, then:
/// let request = DiarizeRequest::new("https://example.com/meeting.wav")?
///     .with_webhook("https://example.com/webhook")?;
/// let event = waiter.submit(request).await?.wait().await?;
/// println!("{}: {}", event.job_id(), event.status());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct JobWaiter {
    client: Client,
    desk: Arc<Desk>,
    polling: Option<Polling>,
}

#[derive(Clone, Copy)]
struct Polling {
    first: Duration,
    longest: Duration,
}

impl JobWaiter {
    /// Makes a waiter that submits and polls by this client.
    pub fn new(client: Client) -> Self {
        let desk = Arc::new(Desk::new(client.inner.time.clone()));
        Self {
            client,
            desk,
            polling: Some(Polling {
                first: Duration::from_secs(5),
                longest: Duration::from_secs(30),
            }),
        }
    }

    /// Sets how long after the submission, and then between polls, it waits: 5 s at first by default, half as long again
    /// after each, and 30 s at most.
    ///
    /// Polls count for the rate limit.
    ///
    /// # Errors
    ///
    /// The first interval is zero, or over the longest.
    pub fn with_poll_interval(
        mut self,
        first: Duration,
        longest: Duration,
    ) -> Result<Self, ConfigError> {
        if first.is_zero() || first > longest {
            return Err(invalid(
                "poll interval",
                "is zero or over the longest: give one above zero, and the longest not below it",
            ));
        }
        self.polling = Some(Polling { first, longest });
        Ok(self)
    }

    /// Waits for webhooks alone. One that is lost is then waited for in vain: use [`PendingJob::wait_timeout`].
    pub fn without_polling(mut self) -> Self {
        self.polling = None;
        self
    }

    /// Submits a job, and begins to wait for it.
    ///
    /// # Errors
    ///
    /// As [`Client::submit`].
    pub async fn submit(&self, request: impl Into<JobRequest>) -> Result<PendingJob, ClientError> {
        let _in_flight = self.desk.expect_webhook();
        let job = self.client.submit(request).await?;
        let polls = self.polls(false);
        Ok(
            PendingJob::new(&self.client, &self.desk, job.job_id.clone(), polls)
                .with_submitted(job),
        )
    }

    /// Begins to wait for a job that is known already; it is polled at once.
    pub fn wait_for(&self, job_id: impl Into<Text>) -> PendingJob {
        let polls = self.polls(true);
        PendingJob::new(&self.client, &self.desk, job_id.into(), polls)
    }

    fn polls(&self, at_once: bool) -> Option<Polls> {
        let polling = self.polling?;
        let delays = ExponentialBuilder::new()
            .with_factor(1.5)
            .with_min_delay(polling.first)
            .with_max_delay(polling.longest)
            .without_max_times()
            .build();
        Some(Polls::new(&self.client.inner.time, delays, at_once))
    }
}

impl WebhookHandler for JobWaiter {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        self.desk.arrived(event);
        Ok(())
    }
}

impl fmt::Debug for JobWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWaiter")
            .field("client", &self.client)
            .field("desk", &self.desk)
            .finish_non_exhaustive()
    }
}
