//! `pyannote-receiver deliver`: sends a signed delivery, to test a receiver.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;
use pyannote_cli::{Failure, print};
use reqwest::{Client, Url, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use tower_pyannote::SigningKey;

use super::file;
use crate::{error::in_full, secrets};

/// Sign a file as pyannoteAI does and send it; prints the status, and exits with 1 unless it is 2xx
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Delivery {
    /// The body to send, byte for byte
    file: PathBuf,

    /// The URL to send it to
    #[arg(long, default_value = "http://127.0.0.1:8000/webhook")]
    url: Url,
}

pub(crate) async fn run(delivery: &Delivery) -> Result<(), Failure> {
    let key = SigningKey::new(&secrets::webhook_secret()?.to_first()?);
    let body = file::read("FILE", &delivery.file)?;
    let timestamp = Timestamp::now().as_second().to_string();
    let signature = key.sign(&timestamp, &body).to_hex();
    let failed = |error: reqwest::Error| {
        Failure::run(format!(
            "--url {}: {}",
            delivery.url,
            in_full(&error.without_url())
        ))
    };
    let response = client(&delivery.url)?
        .post(delivery.url.clone())
        .header("content-type", "application/json")
        .header("x-request-timestamp", timestamp)
        .header("x-signature", signature)
        .body(body)
        .send()
        .await
        .map_err(failed)?;
    let status = response.status();
    print(format!("{status}\n"))?;
    match status.is_success() {
        true => Ok(()),
        false => Err(Failure::run(format!(
            "the delivery was refused with {status}; the receiver's log has the reason"
        ))),
    }
}

fn client(url: &Url) -> Result<Client, Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::run(format!("cannot set up TLS: {}", in_full(error)))
    };
    let tls = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    // A machine without certificates can still send over http.
    let tls = match url.scheme() {
        "https" => tls
            .with_platform_verifier()
            .map_err(|error| failed(&error))?,
        _ => tls.with_root_certificates(RootCertStore::empty()),
    };
    Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(Policy::limited(2))
        .timeout(TIMEOUT)
        .build()
        .map_err(|error| failed(&error))
}

/// As long as pyannoteAI waits.
const TIMEOUT: Duration = Duration::from_secs(10);

const AFTER_HELP: &str = "\
The first secret in PYANNOTEAI_WEBHOOK_SECRET signs the delivery.

Example:
  pyannote-receiver deliver event.json --url https://example.com/webhook";
