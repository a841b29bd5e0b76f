//! `pyannote-receiver deliver`: sends a signed delivery, to test a receiver.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use jiff::Timestamp;
use pyannote_cli::{Failure, print};
use reqwest::{Url, redirect::Policy};
use tower_pyannote::SigningKey;

use super::{file, http_client};
use crate::{error::in_full, secrets::Secrets, settings::WebhookSecret};

/// Sign a file as pyannoteAI does and send it; prints the status, and exits with 1 unless it is 2xx
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Delivery {
    /// The body to send, byte for byte
    file: PathBuf,

    /// The URL to send it to
    #[arg(long, default_value = "http://127.0.0.1:8000/webhook")]
    url: Url,

    #[command(flatten)]
    _secret: WebhookSecret,
}

pub(crate) async fn run(delivery: &Delivery, secrets: &Secrets) -> Result<(), Failure> {
    let key = SigningKey::new(&secrets.webhook()?.to_first()?);
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
    let client = http_client::builder(&delivery.url)
        .redirect(Policy::limited(2))
        .timeout(TIMEOUT);
    let response = http_client::build(client)?
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

/// As long as pyannoteAI waits.
const TIMEOUT: Duration = Duration::from_secs(10);

const AFTER_HELP: &str = "\
The first secret in PYANNOTEAI_WEBHOOK_SECRET signs the delivery.

Example:
  pyannote-receiver deliver event.json --url https://example.com/webhook";
