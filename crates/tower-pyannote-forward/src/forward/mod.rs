//! A handler that posts events to an HTTP endpoint.

mod answer;
mod builder;
mod error;
mod guard;
mod secret;
mod signer;
mod tls;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, Method, StatusCode};
use recloser::AsyncRecloser;
use reqwest::{Request, Url};
use tokio::{
    sync::Semaphore,
    time::{self, Instant},
};
use tower_pyannote::{HandlerError, WebhookEvent, WebhookHandler};

use self::{
    error::{ForwardError, Problem},
    signer::Signer,
};
use crate::{
    cloud_event::{CloudEvent, Source},
    filter::EventFilter,
    telemetry,
};

pub use self::{builder::ForwardBuilder, secret::SigningSecret};

/// A handler that posts each event to an HTTP endpoint, byte for byte as received.
///
/// 1. **One request per event.** A 2xx answer is success. 410, and each [status that you
///    add](ForwardBuilder::add_permanent_status), is a permanent error. Everything else is a failure that an inbox retries:
///    another status, no answer, a [timeout](ForwardBuilder::with_timeout). Redirects are not followed.
/// 2. **`Retry-After` is honoured**, up to 24 h. The retry waits at least as long as the inbox's default backoff, so that
///    short pauses do not use up the attempts.
/// 3. **Signed** by Standard Webhooks with each [secret](ForwardBuilder::add_secret), and on demand [as pyannoteAI
///    signs](ForwardBuilder::with_pyannote_secret). The timestamp is that of the attempt.
/// 4. **At least once.** If an answer is lost, the event is posted again with the same `webhook-id`, the
///    [event key](crate::event_key). Consumers must ignore a key that they have handled.
/// 5. **No access to internal addresses.** A name that resolves to a private, link-local or reserved address is refused unless it is
///    [allowed](ForwardBuilder::with_allow_private). The connection goes to the address that was checked.
/// 6. **An endpoint that is down holds back no other handler**: at most [8 requests](ForwardBuilder::with_in_flight) are in
///    flight, and a [circuit breaker](ForwardBuilder::with_circuit_breaker) fails events at once while the endpoint is down.
///
/// The inbox handles the events of a job one at a time and in their order, so the endpoint gets them in this order. A later event
/// waits for the retries of an earlier one. If the retries are exhausted, the earlier event becomes a dead letter, and the later
/// event is sent. An operator can replay the dead letter.
///
/// Register each endpoint under a name of its own, such as `forward:crm`. Cloning is cheap. Clones share the limit of requests
/// in flight and the circuit breaker.
///
/// # Example: two endpoints behind an inbox
///
/// ```no_run
/// use tower_pyannote::{HandlerRegistry, Status};
/// use tower_pyannote_forward::{EventFilter, Forward, SigningSecret};
/// use tower_pyannote_inbox::Inbox;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let crm = Forward::to("https://crm.example.com/pyannote")
///     .add_secret(SigningSecret::new(&std::env::var("CRM_SECRET")?)?)
///     .build()?;
/// let alerts = Forward::to("http://127.0.0.1:9000/failed")
///     .with_allow_private(true)
///     .with_filter(EventFilter::new().with_statuses([Status::Failed]))
///     .build()?;
/// let registry = HandlerRegistry::new()
///     .register("forward:crm", crm)?
///     .register("forward:alerts", alerts)?;
///
/// let inbox = Inbox::open("sqlite://inbox.sqlite").await?;
/// inbox.worker(registry).run_until(std::future::pending()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Forward {
    inner: Arc<Inner>,
}

struct Inner {
    url: Url,
    /// The scheme, host and port, which logs and errors show.
    origin: Arc<str>,
    name: Arc<str>,
    filter: EventFilter,
    signer: Signer,
    source: Source,
    headers: HeaderMap,
    permanent: Vec<StatusCode>,
    timeout: Duration,
    slots: Semaphore,
    breaker: AsyncRecloser,
    http: reqwest::Client,
    now: Now,
}

type Now = Arc<dyn Fn() -> SystemTime + Send + Sync>;

impl Forward {
    /// Sends an event if the filter accepts it. The handler calls this method for every event.
    ///
    /// # Errors
    ///
    /// Returns a permanent error for 410 and the other statuses that a retry cannot fix, and a retryable error for every
    /// other failure.
    pub async fn send(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let inner = &*self.inner;
        if !inner.filter.accepts(event) {
            return Ok(());
        }
        let sent = inner.send(event).await.map_err(|problem| ForwardError {
            origin: Arc::clone(&inner.origin),
            problem,
        });
        telemetry::forwarded(
            &inner.name,
            sent.as_ref()
                .map_or_else(ForwardError::outcome, |()| "sent"),
        );
        sent.map_err(|error| error.into_handler_error(event.attempt()))
    }
}

impl Inner {
    async fn send(&self, event: &WebhookEvent) -> Result<(), Problem> {
        let deadline = Instant::now() + self.timeout;
        let slot = time::timeout_at(deadline, self.slots.acquire()).await;
        // The error inside is that of a closed semaphore, and this one stays open.
        let _slot = slot.map_err(|_| Problem::Busy(self.timeout))?;
        if Instant::now() >= deadline {
            return Err(Problem::Busy(self.timeout));
        }
        let exchange = self.exchange(event, deadline);
        let called = self.breaker.call_with(Problem::is_outage, exchange).await;
        called.map_err(|error| match error {
            recloser::Error::Inner(problem) => problem,
            recloser::Error::Rejected => Problem::Open,
        })
    }

    async fn exchange(&self, event: &WebhookEvent, deadline: Instant) -> Result<(), Problem> {
        let answered = time::timeout_at(deadline, self.post(event)).await;
        let response = answered.map_err(|_| Problem::TimedOut(self.timeout))??;
        let judged = answer::judge(
            response.status(),
            response.headers(),
            &self.permanent,
            (self.now)(),
        );
        // Only a connection whose answer was read to its end can be used again. The status counts even if the body stalls.
        let lull = deadline.min(Instant::now() + LULL);
        let _ = time::timeout_at(lull, discard(response)).await;
        judged
    }

    async fn post(&self, event: &WebhookEvent) -> Result<reqwest::Response, Problem> {
        let described = CloudEvent::of(event, &self.source);
        let mut request = Request::new(Method::POST, self.url.clone());
        // reqwest's builder would copy each header.
        let headers = request.headers_mut();
        headers.clone_from(&self.headers);
        for (name, value) in described.headers() {
            headers.insert(HeaderName::from_static(name), signer::value(value));
        }
        let now = (self.now)();
        let signed = self
            .signer
            .add_headers(headers, described.id, now, event.raw());
        signed.await;
        *request.body_mut() = Some(event.raw().clone().into());
        let unanswered = |error: reqwest::Error| Problem::Unanswered(error.without_url());
        self.http.execute(request).await.map_err(unanswered)
    }
}

/// Reads and discards the start of a body.
async fn discard(mut response: reqwest::Response) {
    let mut left = DISCARDED;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

impl WebhookHandler for Forward {
    fn needs_output(&self) -> bool {
        false
    }

    async fn any(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        self.send(event).await
    }
}

impl fmt::Debug for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forward")
            .field("endpoint", &self.inner.origin)
            .field("name", &self.inner.name)
            .field("filter", &self.inner.filter)
            .field("timeout", &self.inner.timeout)
            .finish_non_exhaustive()
    }
}

/// How much of an answer's body is read, and for how long.
const DISCARDED: usize = 64 << 10;
const LULL: Duration = Duration::from_secs(1);
