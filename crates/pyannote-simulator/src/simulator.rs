use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle, time};

use crate::{api, config::Config, error::SimulatorError, state::Simulated};

/// A running simulator. It stops when it is dropped.
///
/// See the [crate docs](crate) for an example.
#[must_use]
pub struct Simulator {
    address: SocketAddr,
    simulated: Arc<Simulated>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Simulator {
    /// Starts a simulator on the current Tokio runtime. When it returns, the simulator accepts connections.
    ///
    /// Sets ring as the default provider of rustls, unless the process has one.
    ///
    /// # Errors
    ///
    /// Returns [`SimulatorError`] if a setting is out of its range, a directory cannot be used, or the address is taken.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime with I/O and time.
    pub async fn start(config: Config) -> Result<Self, SimulatorError> {
        let simulated = Arc::new(Simulated::new(config)?);
        let (host, port) = (simulated.config.host.as_str(), simulated.config.port);
        let cannot_listen = |error| SimulatorError::Listen {
            host: host.to_owned(),
            port,
            error,
        };
        let listener = TcpListener::bind((host, port))
            .await
            .map_err(cannot_listen)?;
        let address = listener.local_addr().map_err(cannot_listen)?;
        let app = api::router(Arc::clone(&simulated));
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(async move {
            let stopped = async {
                let _ = stopped.await;
            };
            let served = axum::serve(listener, app).with_graceful_shutdown(stopped);
            if let Err(error) = served.await {
                tracing::error!(%error, "the API has stopped");
            }
        });
        Ok(Self {
            address,
            simulated,
            stop: Some(stop),
            server,
        })
    }

    /// Returns the address that the simulator listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the base URL of the API, which takes the place of `https://api.pyannote.ai`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the latest 100,000 jobs as an array, the oldest first, as `GET /simulator/jobs` shows them.
    ///
    /// Each job is an object:
    ///
    /// | field | value |
    /// |---|---|
    /// | `jobId` | the id |
    /// | `number` | 0 for the first job, 1 for the next, and so on |
    /// | `task` | `diarize`, `identify` or `voiceprint` |
    /// | `status` | `created`, `running`, `succeeded`, `failed` or `canceled` |
    /// | `createdAt`, `updatedAt` | the dates of the submission and of the last change of status |
    /// | `webhook` | the URL, or null |
    /// | `faults` | the [names](crate::Fault::name) of the job's faults |
    /// | `delivery` | `none` if the job has no webhook, else `pending`, `delivered` or `lost` |
    /// | `attempts` | an object for each request to the webhook |
    ///
    /// An attempt has the fields `at` (a date), `retry` and `reason` (the values of `x-retry-num` and `x-retry-reason`, or
    /// null), `sent` (false if a fault kept it back), `status` (the answer's, or null), and `failure` (the reason why there
    /// is no status, in the words of `x-retry-reason`, or null).
    #[must_use]
    pub fn jobs(&self) -> Value {
        self.simulated.all_jobs()
    }

    /// Stops all jobs, and returns when requests in flight are answered, or after a second.
    pub async fn stop(mut self) {
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

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

const DRAIN: Duration = Duration::from_secs(1);
