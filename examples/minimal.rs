//! A receiver with axum: the program of the README, with its port from `PORT`.
//!
//! `PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example minimal`

use axum::{Router, routing::post};
use tower_pyannote::{Output, PyannoteSignatureLayer, SecretSet, WebhookEvent};

async fn webhook(event: WebhookEvent) {
    let (job, status) = (event.job_id(), event.status());
    match (event.output(), event.error()) {
        (Some(Output::Diarization(output)), _) => {
            let speakers = output.diarization.speakers().len();
            println!("job {job} {status}, speakers: {speakers}");
        }
        (Some(Output::Identification(output)), _) => {
            let turns = output.turns();
            println!("job {job} {status}: {:?}", turns.speakers());
        }
        (_, Some(error)) => println!("job {job} {status}: {error}"),
        (_, None) => println!("job {job} {status}"),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    let layer = PyannoteSignatureLayer::new(secrets);
    let app = Router::new().route("/webhook", post(webhook).layer(layer));

    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
