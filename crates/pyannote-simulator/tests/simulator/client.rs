//! This project's client against the simulator's rate limits.

use std::time::Duration;

use pyannote_simulator::RateLimitStyle;
use pyannoteai_client::{Client, ClientBuilder, DiarizeRequest};

use crate::simulated::Simulated;

const AUDIO: &str = "https://example.com/a.wav";

/// Starts a simulator whose minute takes 2 s, and returns a client that has no rate limit of its own.
async fn start(style: RateLimitStyle) -> (Simulated, ClientBuilder) {
    let simulated = Simulated::start(|config| {
        config
            .with_rate_limit(4)
            .with_rate_limit_style(style)
            .with_time_scale(30.0)
            .with_job_time(Duration::ZERO)
    })
    .await;
    let client = Client::builder("sk_any")
        .with_base_url(simulated.simulator.url())
        .unwrap()
        .without_rate_limit();
    (simulated, client)
}

#[tokio::test]
async fn client_that_follows_the_headers_is_never_refused() {
    let (_simulated, client) = start(RateLimitStyle::PerEndpoint).await;
    // An answer with 429 would be an error.
    let client = client.with_max_retries(0).build().unwrap();
    let mut ids = Vec::new();
    for _ in 0..6 {
        let request = DiarizeRequest::new(AUDIO).unwrap();
        ids.push(client.diarize(request).await.unwrap().job_id);
    }
    for id in ids {
        client.job(&id).await.unwrap();
    }
}

#[tokio::test]
async fn client_waits_for_the_shared_limit_of_the_older_form() {
    let (_simulated, client) = start(RateLimitStyle::Shared).await;
    let client = client.build().unwrap();
    for _ in 0..4 {
        let request = DiarizeRequest::new(AUDIO).unwrap();
        let id = client.diarize(request).await.unwrap().job_id;
        client.job(&id).await.unwrap();
    }
}
