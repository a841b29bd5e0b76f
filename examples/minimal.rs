//! A small axum receiver: `PORT=8000 PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --features axum --example minimal`

use axum::{Router, routing::post};
use tower_pyannote::{Diarization, PyannoteSignatureLayer, SecretSet, TypedEvent};

async fn webhook(event: Option<TypedEvent<Diarization>>) -> String {
    let turns = event.map_or(0, |event| event.output().diarization.len());
    format!("{turns} turns\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    let app = Router::new()
        .route("/webhook", post(webhook))
        .layer(PyannoteSignatureLayer::new(secrets));
    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
