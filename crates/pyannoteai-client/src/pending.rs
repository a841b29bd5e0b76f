use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_util::future::{Either, select};
use tokio::sync::oneshot;
use tower_pyannote::WebhookEvent;
use tower_pyannote::event::Text;

use crate::client::Client;
use crate::error::ClientError;
use crate::job::SubmittedJob;
use crate::shared_clock::SharedClock;
use crate::subscriptions::{Subscription, Subscriptions};

/// A job whose end can be awaited, from [`JobWaiter`](crate::JobWaiter).
///
/// Dropping it ends the wait but not the job.
#[must_use]
pub struct PendingJob {
    client: Client,
    job_id: Text,
    submitted: Option<SubmittedJob>,
    polls: Option<PollSchedule>,
    webhook: oneshot::Receiver<WebhookEvent>,
    event: Option<WebhookEvent>,
    _subscription: Subscription,
}

impl PendingJob {
    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// Returns the submission, or `None` if the job is from [`JobWaiter::wait_for`](crate::JobWaiter::wait_for).
    #[must_use]
    pub fn submitted(&self) -> Option<&SubmittedJob> {
        self.submitted.as_ref()
    }

    /// Waits until the job succeeded, failed or was canceled, and returns its event, from the webhook or from a poll.
    ///
    /// A poll that fails with a transient error is followed by the next poll. The future can be dropped and the method
    /// called again.
    ///
    /// # Errors
    ///
    /// Returns [`ClientError`] if a poll failed with a permanent error: the job does not exist, or not any more, or the
    /// API key is invalid. The webhook may still arrive, so the method can be called again.
    pub async fn wait(&mut self) -> Result<WebhookEvent, ClientError> {
        loop {
            if let Some(event) = &self.event {
                return Ok(event.clone());
            }
            let poll = pin!(poll(&mut self.polls, &self.client, &self.job_id));
            self.event = match select(&mut self.webhook, poll).await {
                Either::Left((Ok(event), _)) => Some(event),
                // The sender exists as long as the subscription.
                Either::Left((Err(_), poll)) => poll.await?,
                Either::Right((polled, _)) => polled?,
            };
        }
    }

    /// Waits as [`wait`](Self::wait) does, but at most for a duration. Returns `None` if the job has not ended by then.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<Option<WebhookEvent>, ClientError> {
        let clock = self.client.shared.clock.clone();
        clock.within(limit, self.wait()).await.transpose()
    }

    pub(crate) fn new(
        client: &Client,
        subscriptions: &Arc<Subscriptions>,
        job_id: Text,
        polls: Option<PollSchedule>,
    ) -> Self {
        let (subscription, webhook) = subscriptions.subscribe(job_id.clone());
        Self {
            client: client.clone(),
            job_id,
            submitted: None,
            polls,
            webhook,
            event: None,
            _subscription: subscription,
        }
    }

    pub(crate) fn with_submitted(mut self, job: SubmittedJob) -> Self {
        self.submitted = Some(job);
        self
    }
}

impl fmt::Debug for PendingJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingJob")
            .field("job_id", &self.job_id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// The times at which a job is polled.
pub(crate) struct PollSchedule {
    delays: ExponentialBackoff,
    /// When the next poll is due. It changes only after a poll has a result, so that a dropped wait does not postpone
    /// the poll.
    due: Duration,
}

impl PollSchedule {
    pub(crate) fn new(clock: &SharedClock, mut delays: ExponentialBackoff, at_once: bool) -> Self {
        let first = match at_once {
            true => Duration::ZERO,
            false => delays.next().unwrap_or_default(),
        };
        let due = clock.elapsed().saturating_add(first);
        Self { delays, due }
    }
}

/// Polls once, when the poll is due. Never completes without a schedule.
async fn poll(
    polls: &mut Option<PollSchedule>,
    client: &Client,
    job_id: &str,
) -> Result<Option<WebhookEvent>, ClientError> {
    let Some(polls) = polls else {
        return std::future::pending().await;
    };
    let clock = &client.shared.clock;
    let wait = polls.due.saturating_sub(clock.elapsed());
    if !wait.is_zero() {
        clock.sleep(wait).await;
    }
    let polled = client.job(job_id).await;
    let delay = polls.delays.next().unwrap_or_default();
    polls.due = clock.elapsed().saturating_add(delay);
    match polled {
        Ok(job) => Ok(job.event()),
        Err(error) if error.kind().is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}
