use std::{env, error::Error, time::Duration};

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use pyannote_cli::Failure;
use reqwest::{Client, Url, redirect::Policy};
use tokio::runtime::Handle;

use crate::{commands::http_client, error::in_full};

/// The endpoint of a collector.
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// The setting that names the URL, for errors.
    setting: &'static str,
}

impl Endpoint {
    /// Returns the endpoint from the setting, else from a variable of OpenTelemetry. Returns `None` if traces are off.
    pub(super) fn of(setting: Option<&str>) -> Result<Option<Self>, Failure> {
        let has =
            |name, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
        if has("OTEL_SDK_DISABLED", "true") || has("OTEL_TRACES_EXPORTER", "none") {
            return Ok(None);
        }
        let base = variable(BASE);
        let full = variable(FULL);
        let (text, setting, is_base) = match (setting, &full, &base) {
            (Some(text), _, _) => (text, SETTING, true),
            (None, Some(text), _) => (text.as_str(), FULL, false),
            (None, None, Some(text)) => (text.as_str(), BASE, true),
            (None, None, None) => return Ok(None),
        };
        let expected = |what: &str| Failure::usage(format!("{setting}: {what}"));
        let mut url: Url = text
            .parse()
            .map_err(|_| expected("expected a URL, such as http://127.0.0.1:4318"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(expected("expected http:// or https://"));
        }
        // The errors of the SDK may show the URL.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(expected(
                "the URL has credentials: set OTEL_EXPORTER_OTLP_HEADERS instead, such as authorization=Basic%20…",
            ));
        }
        if is_base {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Ok(Some(Self { url, setting }))
    }

    /// Returns the HTTP client. The client follows no redirect, because the headers may contain a key of the collector.
    pub(super) fn client(&self, runtime: &Handle) -> Result<impl HttpClient + use<>, Failure> {
        let client = http_client::builder(&self.url)
            .timeout(timeout())
            .redirect(Policy::none());
        Ok(OnRuntime {
            client: http_client::build(client)?,
            runtime: runtime.clone(),
        })
    }

    pub(super) fn failure(&self, error: &(dyn Error + 'static)) -> Failure {
        Failure::usage(format!("{}: {}", self.setting, in_full(error)))
    }
}

/// Sends requests from tasks of the runtime, because the thread of the exporter has no runtime.
#[derive(Debug)]
struct OnRuntime {
    client: Client,
    runtime: Handle,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        sent.await?
    }
}

/// Returns the timeout of one export, from the variables of OpenTelemetry. Default: 10 s.
fn timeout() -> Duration {
    let set = variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TIMEOUT"));
    let milliseconds = set.and_then(|text| text.parse().ok());
    milliseconds.map_or(Duration::from_secs(10), Duration::from_millis)
}

/// Returns a variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

const SETTING: &str = "--otlp-endpoint";
const FULL: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
