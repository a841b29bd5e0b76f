//! A durable receiver: layer, inbox, worker, archive, health, metrics and a graceful stop.
//!
//! `PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example inbox`

use std::{error::Error, fs, future::ready, sync::Arc};

use axum::{Router, extract::State, http::StatusCode, routing::get, routing::post_service};
use metrics_exporter_prometheus::PrometheusBuilder;
use object_store::local::LocalFileSystem;
use tower::ServiceBuilder;
use tower_pyannote::{Diarization, HandlerRegistry, PyannoteSignatureLayer, SecretSet, TypedEvent};
use tower_pyannote_archive::Archive;
use tower_pyannote_inbox::Inbox;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().init();
    let metrics = PrometheusBuilder::new().install_recorder()?;
    tower_pyannote::metrics::describe();
    tower_pyannote_inbox::metrics::describe();

    fs::create_dir_all("data/events")?;
    let store = LocalFileSystem::new_with_prefix("data/events")?.with_fsync(true);
    let registry = HandlerRegistry::new()
        .register("archive", Archive::new(Arc::new(store), "")?.behind_inbox())?
        .on_diarization("rttm", async |event: TypedEvent<Diarization>| {
            print!("{}", event.output().diarization.to_rttm(event.job_id()));
            Ok(())
        })?;

    let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
    let layer = PyannoteSignatureLayer::new(SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?);
    let webhook = ServiceBuilder::new().layer(layer).service(inbox.service());
    let app = Router::new()
        .route("/webhook", post_service(webhook))
        .route("/health", get(health))
        .route("/metrics", get(move || ready(metrics.render())))
        .with_state(inbox.clone());

    let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
    let server = axum::serve(listener, app).with_graceful_shutdown(stop());
    let worker = tokio::spawn(inbox.worker(registry).run_until(stop()));
    // If one of the two fails, the process ends: a receiver without its worker must not accept events.
    tokio::try_join!(async { Ok::<_, Box<dyn Error>>(server.await?) }, async {
        Ok(worker.await??)
    },)?;
    Ok(())
}

async fn health(State(inbox): State<Inbox>) -> StatusCode {
    match inbox.check().await {
        Ok(()) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Completes at Ctrl-C, which is SIGINT.
async fn stop() {
    let _ = tokio::signal::ctrl_c().await;
}
