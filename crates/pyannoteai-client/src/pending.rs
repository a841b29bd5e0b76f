use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use futures_util::future::{Either, select};
use tokio::sync::oneshot;

use crate::Client;
use crate::desk::{Claim, Desk};
use crate::error::ClientError;
use crate::error_kind::ClientErrorKind;
use crate::job::SubmittedJob;
use crate::time::Time;
use tower_pyannote::WebhookEvent;
use tower_pyannote::event::Text;

/// A job that is waited for, from [`JobWaiter`](crate::JobWaiter).
///
/// To drop it is to wait no longer; the job goes on.
#[must_use]
pub struct PendingJob {
    client: Client,
    job_id: Text,
    submitted: Option<SubmittedJob>,
    polls: Option<Polls>,
    arrival: oneshot::Receiver<WebhookEvent>,
    event: Option<WebhookEvent>,
    _claim: Claim,
}

impl PendingJob {
    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.job_id
    }

    /// Returns what the submission answered, `None` if it was not submitted here.
    #[must_use]
    pub fn submitted(&self) -> Option<&SubmittedJob> {
        self.submitted.as_ref()
    }

    /// Waits until the job is over, however it ends, and returns the event of it, by webhook or by polling.
    ///
    /// A poll that fails in a way that may pass is followed by the next. The future may be dropped, and the job waited
    /// for again.
    ///
    /// # Errors
    ///
    /// A poll failed in a way that does not pass: the job is not known, or no longer, or the API key is refused. The
    /// webhook may still come, so waiting again is possible.
    pub async fn wait(&mut self) -> Result<WebhookEvent, ClientError> {
        loop {
            if let Some(event) = &self.event {
                return Ok(event.clone());
            }
            let poll = pin!(Polls::next(&mut self.polls, &self.client, &self.job_id));
            self.event = match select(&mut self.arrival, poll).await {
                Either::Left((Ok(event), _)) => Some(event),
                // The desk keeps the other end for as long as the claim lives.
                Either::Left((Err(_), poll)) => poll.await?,
                Either::Right((polled, _)) => polled?,
            };
        }
    }

    /// Waits like [`wait`](Self::wait), but no longer than this; `None` says that the job is not over yet.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_timeout(
        &mut self,
        limit: Duration,
    ) -> Result<Option<WebhookEvent>, ClientError> {
        let time = self.client.inner.time.clone();
        time.within(limit, self.wait()).await.transpose()
    }

    pub(crate) fn new(
        client: &Client,
        desk: &Arc<Desk>,
        job_id: Text,
        polls: Option<Polls>,
    ) -> Self {
        let (claim, arrival) = Desk::claim(desk, job_id.clone());
        Self {
            client: client.clone(),
            job_id,
            submitted: None,
            polls,
            arrival,
            event: None,
            _claim: claim,
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

/// When a job is polled.
pub(crate) struct Polls {
    delays: ExponentialBackoff,
    /// When the next poll is due; it stays so until that poll has an answer, however often waiting is broken off.
    due: Duration,
}

impl Polls {
    pub(crate) fn new(time: &Time, mut delays: ExponentialBackoff, at_once: bool) -> Self {
        let first = match at_once {
            true => Duration::ZERO,
            false => delays.next().unwrap_or_default(),
        };
        Self {
            delays,
            due: time.elapsed() + first,
        }
    }

    /// Polls once, when it is due; without polls, never.
    async fn next(
        polls: &mut Option<Self>,
        client: &Client,
        job_id: &str,
    ) -> Result<Option<WebhookEvent>, ClientError> {
        let Some(polls) = polls else {
            return std::future::pending().await;
        };
        let time = &client.inner.time;
        let wait = polls.due.saturating_sub(time.elapsed());
        if !wait.is_zero() {
            time.sleep(wait).await;
        }
        let polled = client.job(job_id).await;
        polls.due = time.elapsed() + polls.delays.next().unwrap_or_default();
        match polled {
            Ok(job) => Ok(job.event()),
            Err(error) if may_pass(error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

const fn may_pass(kind: ClientErrorKind) -> bool {
    matches!(
        kind,
        ClientErrorKind::Connect
            | ClientErrorKind::Timeout
            | ClientErrorKind::Transport
            | ClientErrorKind::Server
            | ClientErrorKind::RateLimited
    )
}
