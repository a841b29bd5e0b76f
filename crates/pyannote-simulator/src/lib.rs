//! A pyannoteAI look-alike: takes jobs, ends them, delivers webhooks, and makes mistakes if told so.

mod answer;
mod api;
mod bodies;
mod clock;
mod config;
mod delivery;
mod faults;
mod fields;
mod guard;
pub(crate) mod http;
mod jobs;
mod limit;
mod media;
mod output;
mod pages;
mod run;
mod state;
mod submission;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time};

use self::{bodies::Bodies, media::Media, state::Simulated};

pub(crate) use self::{
    config::Config,
    faults::{Fault, Faults, Odds},
};

/// A simulator that runs until it is stopped or dropped.
#[derive(Debug)]
pub(crate) struct Simulator {
    address: SocketAddr,
    simulated: Arc<Simulated>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts it on tokio; the error is one line that names the setting that cannot be used.
    pub(crate) async fn start(config: Config) -> Result<Self, String> {
        if !SCALES.contains(&config.time_scale) {
            let (least, most) = (SCALES.start(), SCALES.end());
            return Err(format!(
                "--time-scale: give a number from {least} to {most}"
            ));
        }
        if config.duration > DAY {
            return Err("--duration: give at most 86400 s, 24 h".into());
        }
        if config.rate_limit == Some(0) {
            return Err("--rate-limit: give at least 1, or off".into());
        }
        let day = DAY.div_f64(config.time_scale);
        let media = Media::open(config.data_dir.as_deref(), day)?;
        let bodies = match &config.bodies {
            Some(dir) => Bodies::of(dir)?,
            None => Bodies::default(),
        };
        let http = http::client()?;

        let (host, port) = (config.host.as_str(), config.port);
        let cannot_listen =
            |error| format!("--host {host}, --port {port}: cannot listen there: {error}");
        let listener = TcpListener::bind((host, port))
            .await
            .map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let simulated = Arc::new(Simulated::new(config, media, bodies, http));
        let app = api::router(Arc::clone(&simulated));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let served = axum::serve(listener, app).with_graceful_shutdown(stopped);
            if let Err(error) = served.await {
                tracing::error!(%error, "stopped serving");
            }
        });
        Ok(Self {
            address,
            simulated,
            stop: Some(stop),
            server,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the API is, in place of `https://api.pyannote.ai`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every job and what was delivered of it, as `GET /simulator/jobs` shows it.
    pub(crate) fn jobs(&self) -> Value {
        self.simulated.all_jobs()
    }

    /// Gives up all jobs, and ends when requests in flight are answered or have had a second.
    pub(crate) async fn stop(mut self) {
        self.simulated.abandon();
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = time::timeout(DRAIN, &mut self.server).await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.simulated.abandon();
        self.server.abort();
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DRAIN: Duration = Duration::from_secs(1);
const SCALES: std::ops::RangeInclusive<f64> = 0.001..=1_000_000.0;
