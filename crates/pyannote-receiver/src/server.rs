use std::{error::Error, fmt, future::Future, io, net::SocketAddr, sync::Arc};

use axum::Router;
use object_store::ObjectStore;
use tokio::{net::TcpListener, sync::watch};
use tower_pyannote::{ConfigError, HandlerRegistry, SecretSet};
use tower_pyannote_inbox::{Inbox, InboxError, InboxWorker, Reconciler};

use crate::{app, handlers, metrics, serve};

/// A receiver: verifies deliveries, commits them to an inbox, and runs handlers over them.
///
/// It serves `POST /webhook`, and `/`, `/health` and `/metrics` for the operator.
///
/// # Example: a receiver within a program of your own
///
/// ```no_run
/// use pyannote_receiver::{Server, open_directory};
/// use tower_pyannote::SecretSet;
/// use tower_pyannote_inbox::Inbox;
///
/// # async fn receive(stop: impl Future<Output = ()>) -> Result<(), Box<dyn std::error::Error>> {
/// let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
/// let store = open_directory("data").await?;
/// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
/// let server = Server::new(secrets, inbox, store).bind("127.0.0.1", 8000).await?;
/// println!("listening on http://{}", server.address());
/// server.run_until(stop).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Server {
    secrets: SecretSet,
    inbox: Inbox,
    store: Arc<dyn ObjectStore>,
    handlers: HandlerRegistry,
    concurrency: usize,
    reconciler: Option<Reconciler>,
}

impl Server {
    /// Makes a receiver that keeps the body of each event in `store` and logs what the event holds.
    ///
    /// [`open_directory`](crate::open_directory) makes a store of a local directory.
    pub fn new(secrets: SecretSet, inbox: Inbox, store: Arc<dyn ObjectStore>) -> Self {
        let handlers = handlers::registry(Arc::clone(&store));
        Self {
            secrets,
            inbox,
            store,
            handlers,
            concurrency: 4,
            reconciler: None,
        }
    }

    /// Adds handlers of your own, which run after the handlers `archive` and `log`.
    ///
    /// # Errors
    ///
    /// Returns the error of `add`, such as [`ConfigError::DuplicateHandler`] for a name that is taken.
    pub fn with_handlers(
        mut self,
        add: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    ) -> Result<Self, ConfigError> {
        self.handlers = add(self.handlers)?;
        Ok(self)
    }

    /// Sets how many events are handled at a time, 1 to 10,000. Default: 4.
    pub fn with_concurrency(mut self, events: usize) -> Self {
        self.concurrency = events;
        self
    }

    /// Runs a reconciler over the same inbox, which fetches the events whose webhook never came. Default: none.
    pub fn with_reconciler(mut self, reconciler: Reconciler) -> Self {
        self.reconciler = Some(reconciler);
        self
    }

    /// Listens on a host and port; port 0 takes a free one.
    ///
    /// Installs a recorder of metrics for the whole process, so that a process binds one receiver.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Listen`] if the address cannot be used, [`ServerError::Metrics`] if the process has a recorder
    /// already, and [`ServerError::Concurrency`] if the concurrency is out of range.
    pub async fn bind(self, host: &str, port: u16) -> Result<BoundServer, ServerError> {
        let worker = self
            .inbox
            .worker(self.handlers)
            .with_concurrency(self.concurrency)
            .map_err(ServerError::Concurrency)?;
        let metrics = metrics::install().map_err(|error| ServerError::Metrics(error.into()))?;
        let app = app::router(self.secrets, self.inbox, self.store, metrics);
        let listener = serve::listen(host, port)
            .await
            .map_err(ServerError::Listen)?;
        let address = listener.local_addr().map_err(ServerError::Listen)?;
        Ok(BoundServer {
            listener,
            address,
            app,
            worker,
            reconciler: self.reconciler,
        })
    }
}

/// A receiver that listens, and serves once it is [run](Self::run_until).
#[derive(Debug)]
#[must_use = "a receiver answers nothing until it is run"]
pub struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    worker: InboxWorker,
    reconciler: Option<Reconciler>,
}

impl BoundServer {
    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then drains: requests and handlers in flight have 10 s each.
    ///
    /// # Errors
    ///
    /// Returns an error if the inbox's worker ended by itself. The receiver then drains too, because a server whose worker
    /// broke must not acknowledge what nobody handles.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let (stopping, stopped) = watch::channel(());
        let wait = || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.changed().await;
            }
        };
        // Cut off when this future is dropped, as a second signal drops it.
        let worked = tokio::spawn(self.worker.run_until(wait()));
        let served = serve::serve(self.listener, self.app, wait());
        let reconciled = async {
            if let Some(reconciler) = self.reconciler {
                reconciler.run_until(wait()).await;
            }
        };
        let worked = async {
            let mut worked = worked;
            let ended = tokio::select! {
                ended = &mut worked => Some(ended),
                () = stop => None,
            };
            drop(stopping);
            match ended {
                Some(ended) => ended,
                None => worked.await,
            }
        };
        let ((), (), worked) = tokio::join!(served, reconciled, worked);
        match worked {
            Ok(worked) => worked.map_err(ServerError::Worker),
            Err(panic) => Err(ServerError::WorkerPanicked(panic.to_string())),
        }
    }
}

/// Why a receiver does not run, or ended by itself.
#[non_exhaustive]
pub enum ServerError {
    /// The host and port cannot be listened on.
    Listen(io::Error),
    /// The recorder of metrics cannot be installed.
    Metrics(Box<dyn Error + Send + Sync>),
    /// The concurrency is out of range.
    Concurrency(tower_pyannote_inbox::ConfigError),
    /// The inbox's worker ended with an error.
    Worker(InboxError),
    /// The inbox's worker panicked, with this message.
    WorkerPanicked(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listen(error) => write!(f, "cannot listen: {error}"),
            Self::Metrics(error) => error.fmt(f),
            Self::Concurrency(error) => error.fmt(f),
            Self::Worker(error) => f.write_str(&crate::commands::inbox::in_full(error)),
            Self::WorkerPanicked(panic) => write!(f, "the inbox's worker broke: {panic}"),
        }
    }
}

impl fmt::Debug for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ServerError {}
