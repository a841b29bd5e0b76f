use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tower_pyannote::event::Text;
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};

use crate::ConfigError;
use crate::client::Client;
use crate::error::ClientError;
use crate::pending::{PendingJob, PollSchedule};
use crate::request::JobRequest;
use crate::subscriptions::Subscriptions;

/// Submits jobs and waits for their end, by webhook or by polling, whichever is first.
///
/// To receive webhooks, register a clone in the [`HandlerRegistry`](tower_pyannote::HandlerRegistry), as a
/// [`WebhookHandler`]. If the waiter is not registered, or another process receives the webhook, a poll finds the
/// event.
///
/// An event that arrives before the response to its submission is kept in memory, within limits. Other handlers get
/// every event too, and an event may arrive more than once.
///
/// Clones are cheap and share the pending jobs.
///
/// # Example
///
/// ```no_run
/// use pyannoteai_client::{Client, DiarizeRequest, JobWaiter};
/// use tower_pyannote::HandlerRegistry;
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
    subscriptions: Arc<Subscriptions>,
    polling: Option<ExponentialBuilder>,
}

impl JobWaiter {
    /// Makes a waiter that submits and polls through a client.
    pub fn new(client: Client) -> Self {
        let subscriptions = Arc::new(Subscriptions::new(client.shared.clock.clone()));
        Self {
            client,
            subscriptions,
            polling: Some(polling(Duration::from_secs(5), Duration::from_secs(30))),
        }
    }

    /// Sets the interval from the submission to the first poll, and the longest interval between two polls.
    ///
    /// Default: 5 s and 30 s. Each interval is half as long again as the one before. Polls count towards the limit of
    /// job reads, and delay no submission.
    ///
    /// # Errors
    ///
    /// Returns [`ConfigError`] if the first interval is zero, or longer than the longest.
    pub fn with_poll_interval(
        mut self,
        first: Duration,
        longest: Duration,
    ) -> Result<Self, ConfigError> {
        if first.is_zero() || first > longest {
            let reason = "is zero or longer than the longest: give 0 < first <= longest";
            return Err(ConfigError::new("poll interval", reason));
        }
        self.polling = Some(polling(first, longest));
        Ok(self)
    }

    /// Turns off polling, so that only a webhook ends the wait.
    ///
    /// Use [`PendingJob::wait_timeout`] then, because a webhook may be lost.
    pub fn without_polling(mut self) -> Self {
        self.polling = None;
        self
    }

    /// Submits a job whose end can be awaited.
    ///
    /// # Errors
    ///
    /// As [`Client::submit`].
    pub async fn submit(&self, request: impl Into<JobRequest>) -> Result<PendingJob, ClientError> {
        let _in_flight = self.subscriptions.begin_submission();
        let job = self.client.submit(request).await?;
        Ok(self.pending(job.job_id.clone(), false).with_submitted(job))
    }

    /// Waits for a job that was submitted elsewhere. The first poll is at once.
    pub fn wait_for(&self, job_id: impl Into<Text>) -> PendingJob {
        self.pending(job_id.into(), true)
    }

    fn pending(&self, job_id: Text, at_once: bool) -> PendingJob {
        let clock = &self.client.shared.clock;
        let polls = self
            .polling
            .map(|delays| PollSchedule::new(clock, delays.build(), at_once));
        PendingJob::new(&self.client, &self.subscriptions, job_id, polls)
    }
}

impl WebhookHandler for JobWaiter {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        self.subscriptions.publish(event);
        Ok(())
    }
}

impl fmt::Debug for JobWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobWaiter")
            .field("client", &self.client)
            .field("subscriptions", &self.subscriptions)
            .finish_non_exhaustive()
    }
}

fn polling(first: Duration, longest: Duration) -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_factor(1.5)
        .with_min_delay(first)
        .with_max_delay(longest)
        .without_max_times()
}
