//! A simulator, a receiver with an inbox, and a client that submits jobs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::Router;
use pyannoteai_client::{Client, ClientBuilder, DiarizeRequest, JobRequest};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::ServiceBuilder;
use tower_pyannote::{
    HandlerRegistry, PyannoteSignatureLayer, WebhookEvent, WebhookSecret,
    clock::{Clock, SystemClock, SystemSleep},
};
use tower_pyannote_inbox::{Inbox, Reconciler};

use pyannote_simulator::{Config, Fault, Faults, Odds, Simulator};

use crate::place::{Log, Place, until};

pub(crate) const SECRET: &str = "whs_00112233445566778899aabbccddeeff";

pub(crate) struct World {
    pub(crate) simulator: Simulator,
    pub(crate) receiver: Receiver,
    pub(crate) inbox: Inbox,
    pub(crate) client: Client,
    pub(crate) clock: Shifted,
}

impl World {
    /// One that is fast, but for what `change` says.
    pub(crate) async fn start(place: &Place, change: impl FnOnce(Config) -> Config) -> Self {
        let config = Config::new(WebhookSecret::new(SECRET).unwrap())
            // Outputs are deleted after a day, which at this scale is still over a minute.
            .with_time_scale(1_000.0)
            .with_answer_timeout(Duration::from_secs(20))
            .without_rate_limit()
            .with_duration(Duration::from_secs(20));
        let simulator = Simulator::start(change(config)).await.unwrap();
        let inbox = place.open().await;
        let receiver = Receiver::start(&inbox).await;
        let clock = Shifted::default();
        let client = builder(&simulator.url(), &inbox, &clock)
            .with_webhook(receiver.url())
            .unwrap();
        Self {
            client: client.build().unwrap(),
            simulator,
            receiver,
            inbox,
            clock,
        }
    }

    /// One whose deliveries are lost, all or some.
    pub(crate) async fn losing(place: &Place, odds: Odds) -> Self {
        let faults = Faults::default().with(Fault::Lost, odds);
        Self::start(place, |config| config.with_faults(faults)).await
    }

    /// A reconciler that leaves nothing to webhooks.
    pub(crate) fn reconciler(&self) -> Reconciler {
        eager(&self.client, &self.inbox)
    }

    /// Submits a job and returns its id.
    pub(crate) async fn submit(&self, request: impl Into<JobRequest>) -> String {
        let job = self.client.submit(request).await.unwrap();
        assert!(job.log_error().is_none(), "{job:?}");
        job.job_id.to_string()
    }

    pub(crate) async fn diarize(&self) -> String {
        self.submit(diarize()).await
    }

    /// Waits until every job has ended and its delivery was made or given up.
    pub(crate) async fn rest(&self) {
        until("the end of all deliveries", async || {
            let jobs = self.simulator.jobs();
            let mut jobs = jobs.as_array().unwrap().iter();
            jobs.all(|job| job["delivery"] != "pending" && is_over(job))
        })
        .await;
    }
}

pub(crate) fn is_over(job: &Value) -> bool {
    matches!(
        job["status"].as_str(),
        Some("succeeded" | "failed" | "canceled")
    )
}

pub(crate) fn builder(url: &str, inbox: &Inbox, clock: &Shifted) -> ClientBuilder {
    Client::builder("sk_example")
        .with_base_url(url)
        .unwrap()
        .without_rate_limit()
        .with_max_retries(0)
        .with_submission_log(inbox.submissions())
        .with_clock(clock.clone())
}

pub(crate) fn eager(client: &Client, inbox: &Inbox) -> Reconciler {
    Reconciler::new(client.clone(), inbox.clone())
        .with_grace(Duration::ZERO)
        .unwrap()
}

pub(crate) fn diarize() -> DiarizeRequest {
    DiarizeRequest::new("https://example.com/a.wav").unwrap()
}

/// Returns a handler that logs `jobId:status`.
pub(crate) fn noting(log: &Log) -> HandlerRegistry {
    let log = log.clone();
    HandlerRegistry::new()
        .on_any("note", move |event: WebhookEvent| {
            log.add(format!("{}:{}", event.job_id(), event.status()));
            async { Ok(()) }
        })
        .unwrap()
}

/// The HTTP side of an inbox, on loopback.
pub(crate) struct Receiver {
    url: String,
    server: JoinHandle<()>,
}

impl Receiver {
    pub(crate) async fn start(inbox: &Inbox) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::on(listener, inbox)
    }

    pub(crate) fn on(listener: TcpListener, inbox: &Inbox) -> Self {
        let url = format!("http://{}/webhook", listener.local_addr().unwrap());
        let webhook = ServiceBuilder::new()
            .layer(PyannoteSignatureLayer::new(
                WebhookSecret::new(SECRET).unwrap(),
            ))
            .service(inbox.service());
        let router = Router::new().route_service("/webhook", webhook);
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, server }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// A clock that is a settable number of seconds ahead.
#[derive(Clone, Default)]
pub(crate) struct Shifted(Arc<AtomicI64>);

impl Shifted {
    pub(crate) fn set(&self, minutes: i64) {
        self.0.store(60 * minutes, Ordering::SeqCst);
    }
}

impl Clock for Shifted {
    type Sleep = SystemSleep;

    fn now(&self) -> SystemTime {
        let seconds = self.0.load(Ordering::SeqCst);
        let shift = Duration::from_secs(seconds.unsigned_abs());
        match seconds < 0 {
            true => SystemClock.now() - shift,
            false => SystemClock.now() + shift,
        }
    }

    fn sleep(&self, duration: Duration) -> SystemSleep {
        SystemClock.sleep(duration)
    }
}

pub(crate) const HOUR: i64 = 60;
