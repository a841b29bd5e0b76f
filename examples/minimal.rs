//! A small axum receiver: `PORT=8000 PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --features axum --example minimal`

use axum::{Router, routing::post};
use tower_pyannote::{Output, PyannoteSignatureLayer, SecretSet, WebhookEvent};

async fn webhook(event: WebhookEvent) {
    let job = event.job_id();
    match (event.output(), event.error()) {
        (Some(Output::Diarization(output)), _) => print!("{}", output.diarization.to_rttm(job)),
        (_, Some(error)) => println!("job {job} {}: {error}", event.status()),
        _ => println!("job {job} {}", event.status()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let layer = PyannoteSignatureLayer::new(SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?);
    let app = Router::new().route("/webhook", post(webhook).layer(layer));
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
