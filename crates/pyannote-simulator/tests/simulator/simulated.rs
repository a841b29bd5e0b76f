//! A simulator and a client.

use std::time::{Duration, Instant};

use pyannote_simulator::{Config, Simulator};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tower_pyannote::WebhookSecret;

pub(crate) const SECRET: &str = "whs_00112233445566778899aabbccddeeff";

pub(crate) fn secret() -> WebhookSecret {
    WebhookSecret::new(SECRET).unwrap()
}

pub(crate) struct Simulated {
    pub(crate) simulator: Simulator,
    client: Client,
}

impl Simulated {
    /// Starts a simulator that is fast and has no rate limit, with further settings.
    pub(crate) async fn start(settings: impl FnOnce(Config) -> Config) -> Self {
        let config = Config::new(secret())
            .with_time_scale(10_000.0)
            .with_answer_timeout(Duration::from_secs(20))
            .without_rate_limit();
        let simulator = Simulator::start(settings(config)).await.unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { simulator, client }
    }

    pub(crate) async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("{}{path}", self.simulator.url());
        let request = self.client.request(method, url).bearer_auth("any key");
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        open(self.send(Method::GET, path, None).await).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        open(self.send(Method::POST, path, Some(body)).await).await
    }

    /// Submits a job and returns its id.
    pub(crate) async fn submit(&self, path: &str, body: Value) -> String {
        let (status, answer) = self.post(path, body).await;
        assert_eq!(status, 200, "{answer}");
        answer["jobId"].as_str().unwrap().to_owned()
    }

    /// Submits a diarization with a webhook and returns its id.
    pub(crate) async fn diarize(&self, webhook: &str) -> String {
        let body = json!({ "url": "https://example.com/a.wav", "webhook": webhook });
        self.submit("/v1/diarize", body).await
    }

    /// Returns a job as `GET /simulator/jobs` shows it.
    pub(crate) fn job(&self, id: &str) -> Value {
        let jobs = self.simulator.jobs();
        let mut jobs = jobs.as_array().unwrap().iter();
        jobs.find(|job| job["jobId"] == id).unwrap().clone()
    }

    /// Waits until the delivery of a job is over, and returns the job.
    pub(crate) async fn delivered(&self, id: &str) -> Value {
        poll("the end of the delivery", async || {
            self.job(id)["delivery"] != "pending"
        })
        .await;
        self.job(id)
    }

    /// Waits until a job is over, and returns what the API answers.
    pub(crate) async fn done(&self, id: &str) -> Value {
        let path = format!("/v1/jobs/{id}");
        poll("the end of the job", async || {
            let status = self.job(id)["status"].clone();
            status != "created" && status != "running"
        })
        .await;
        self.get(&path).await.1
    }
}

pub(crate) async fn open(response: Response) -> (StatusCode, Value) {
    (response.status(), response.json().await.unwrap())
}

/// Waits until a condition holds, for at most [`PATIENCE`].
pub(crate) async fn poll(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what} does not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
