//! A receiver on hyper, without a framework: `PYANNOTEAI_WEBHOOK_SECRET=whs_... cargo run --release --example hyper`

use std::{convert::Infallible, time::Duration};

use http::{Request, Response};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};
use tower_pyannote::{PyannoteSignatureLayer, SecretSet, WebhookEvent, layer::VerifiedBody};

async fn webhook(request: Request<VerifiedBody>) -> Result<Response<String>, Infallible> {
    let event = request.extensions().get::<WebhookEvent>();
    let event = event.expect("the layer adds the event");
    println!("job {} {}", event.job_id(), event.status());
    Ok(Response::new(String::new()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    let service = ServiceBuilder::new()
        .layer(PyannoteSignatureLayer::new(secrets))
        .service(service_fn(webhook));

    let port = std::env::var("PORT").unwrap_or_else(|_| "8000".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // Without a timer, hyper does not limit the time for the headers.
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(5))
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                eprintln!("connection: {error}");
            }
        });
    }
}
