//! Handlers in a registry: a type with state, and closures.
//!
//! `PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example handlers`

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{Router, routing::post_service};
use tower::ServiceBuilder;
use tower_pyannote::{
    Diarization, HandlerError, HandlerRegistry, Identification, PyannoteSignatureLayer, SecretSet,
    TypedEvent, WebhookEvent, WebhookHandler,
};

/// Adds up the talk time of all meetings.
#[derive(Default)]
struct Minutes {
    seconds: AtomicU64,
}

impl WebhookHandler for Minutes {
    async fn diarization(&self, event: &TypedEvent<Diarization>) -> Result<(), HandlerError> {
        self.add(event.job_id(), event.output().diarization.talk_time())
    }

    async fn identification(&self, event: &TypedEvent<Identification>) -> Result<(), HandlerError> {
        self.add(event.job_id(), event.output().turns().talk_time())
    }

    async fn failed(&self, event: &WebhookEvent) -> Result<(), HandlerError> {
        let reason = event.error().unwrap_or("no reason given");
        println!("job {} failed: {reason}", event.job_id());
        Ok(())
    }
}

impl Minutes {
    fn add(&self, job_id: &str, talked: f64) -> Result<(), HandlerError> {
        let talked = Duration::try_from_secs_f64(talked).map_err(HandlerError::permanent)?;
        let before = self.seconds.fetch_add(talked.as_secs(), Ordering::Relaxed);
        let minutes = (before + talked.as_secs()) / 60;
        println!("job {job_id}: {minutes} minutes of talk so far");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = HandlerRegistry::new()
        .register("minutes", Minutes::default())?
        .on_diarization("rttm", async |event: TypedEvent<Diarization>| {
            print!("{}", event.output().diarization.to_rttm(event.job_id()));
            Ok(())
        })?
        .on_any("log", async |event: WebhookEvent| {
            println!("job {} {}", event.job_id(), event.status());
            Ok(())
        })?;

    let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    let webhook = ServiceBuilder::new()
        .layer(PyannoteSignatureLayer::new(secrets))
        .service(registry.into_service());
    let app = Router::new().route("/webhook", post_service(webhook));

    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
