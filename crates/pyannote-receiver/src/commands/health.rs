//! `pyannote-receiver health`: asks a running receiver whether it is healthy.

use std::time::Duration;

use clap::Args;
use pyannote_cli::{Failure, print};
use reqwest::{Url, redirect::Policy};

use super::http_client;
use crate::error::in_full;

/// Ask a running receiver whether it is healthy; prints the status, and exits with 1 unless it is 2xx
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Health {
    /// The URL of the health check
    #[arg(long, default_value = "http://127.0.0.1:8001/readyz")]
    url: Url,
}

pub(crate) async fn run(health: &Health) -> Result<(), Failure> {
    let url = &health.url;
    // Not through a proxy of the environment: the receiver is on this machine, or beside it.
    let client = http_client::builder(url)
        .no_proxy()
        .redirect(Policy::none())
        .timeout(TIMEOUT);
    let response = http_client::build(client)?.get(url.clone()).send().await;
    let status = response
        .map_err(|error| {
            let error = in_full(&error.without_url());
            Failure::run(format!(
                "--url {url}: {error}; check that the receiver runs and listens there"
            ))
        })?
        .status();
    print(format!("{status}\n"))?;
    match status.is_success() {
        true => Ok(()),
        false => Err(Failure::run(format!(
            "--url {url}: the receiver answers {status}; its log has the reason"
        ))),
    }
}

/// Longer than the 5 s that the receiver's own check takes at most.
const TIMEOUT: Duration = Duration::from_secs(8);

const AFTER_HELP: &str = "\
For the health check of a container, whose image has no curl.

Examples:
  pyannote-receiver health
  pyannote-receiver health --url http://127.0.0.1:8000/health";
