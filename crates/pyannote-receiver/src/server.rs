use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use axum::Router;
use tokio::{net::TcpListener, sync::watch};
use tower_pyannote::{ConfigError, HandlerRegistry, SecretSet};
use tower_pyannote_archive::Archive;
use tower_pyannote_inbox::{Inbox, InboxWorker, Reconciler};

use crate::{app, error::ServerError, handlers, metrics, serve, store::Store};

/// A receiver: verifies deliveries, commits them to an inbox, and runs handlers over them.
///
/// It serves `POST /webhook`, and `/`, `/health` and `/metrics` for the operator.
///
/// # Example: a receiver in a program of your own
///
/// ```no_run
/// use pyannote_receiver::{Server, open_directory};
/// use tower_pyannote::SecretSet;
/// use tower_pyannote_inbox::Inbox;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
///     let store = open_directory("data").await?;
///     let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
///     let server = Server::new(secrets, inbox, store)
///         .with_concurrency(8)?
///         .bind("127.0.0.1", 8000)
///         .await?;
///     println!("listening on http://{}", server.address());
///     server
///         .run_until(async {
///             let _ = tokio::signal::ctrl_c().await;
///         })
///         .await?;
///     Ok(())
/// }
/// ```
#[derive(Debug)]
#[must_use]
pub struct Server {
    secrets: SecretSet,
    inbox: Inbox,
    store: Store,
    archive: Archive,
    late_archive: Arc<OnceLock<Archive>>,
    handlers: Option<HandlerRegistry>,
    concurrency: usize,
    reconciler: Option<Reconciler>,
}

impl Server {
    /// Makes a receiver with the handlers `archive`, which keeps each event in `store`, and `log`.
    ///
    /// [`open_directory`](crate::open_directory) opens a local directory as a store, and [`open_store`](crate::open_store) any
    /// store by its URL.
    pub fn new(secrets: SecretSet, inbox: Inbox, store: impl Into<Store>) -> Self {
        let store = store.into();
        let late_archive = Arc::default();
        let handlers = handlers::registry(Arc::clone(&late_archive));
        Self {
            secrets,
            inbox,
            archive: store.archive(),
            store,
            late_archive,
            handlers: Some(handlers),
            concurrency: 4,
            reconciler: None,
        }
    }

    /// Changes the settings of the handler `archive`.
    ///
    /// Default: the root of the store, with a claim per event, so that receivers with inboxes of their own may share the
    /// store. A store of [`open_store`](crate::open_store) that has metadata keeps that of each delivery.
    ///
    /// Use [`Archive::behind_inbox`] if no other inbox writes to the store: it halves the flushes of the disk.
    ///
    /// # Example: one inbox, one directory
    ///
    /// ```no_run
    /// use pyannote_receiver::{Server, open_directory};
    /// use tower_pyannote::SecretSet;
    /// use tower_pyannote_archive::{Archive, Metadata};
    /// use tower_pyannote_inbox::Inbox;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let secrets = SecretSet::from_env("PYANNOTEAI_WEBHOOK_SECRET")?;
    /// let inbox = Inbox::open("sqlite://data/inbox.sqlite").await?;
    /// let server = Server::new(secrets, inbox, open_directory("data").await?)
    ///     .with_archive(|archive| archive.behind_inbox().with_metadata(Metadata::Sidecar));
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_archive(mut self, change: impl FnOnce(Archive) -> Archive) -> Self {
        self.archive = change(self.archive);
        self
    }

    /// Adds handlers, which run after `archive` and `log`. Does nothing after [`without_handlers`](Self::without_handlers).
    ///
    /// # Errors
    ///
    /// Returns the error of `add`, such as [`ConfigError::DuplicateHandler`] for a name that is taken.
    pub fn with_handlers(
        mut self,
        add: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    ) -> Result<Self, ConfigError> {
        self.handlers = self.handlers.map(add).transpose()?;
        Ok(self)
    }

    /// Commits events without handling them: no handler runs, not even `archive`.
    ///
    /// The events wait in the inbox until another receiver, or an [`InboxWorker`], handles them from the same database.
    pub fn without_handlers(mut self) -> Self {
        self.handlers = None;
        self
    }

    /// Sets how many events are handled at a time. Default: 4.
    ///
    /// # Errors
    ///
    /// Returns the error of [`InboxWorker::with_concurrency`] for 0, and for more than 10,000.
    pub fn with_concurrency(
        mut self,
        events: usize,
    ) -> Result<Self, tower_pyannote_inbox::ConfigError> {
        let worker = self.inbox.worker(HandlerRegistry::new());
        self.concurrency = worker.with_concurrency(events).map(|_| events)?;
        Ok(self)
    }

    /// Runs a reconciler, which fetches events whose webhook did not arrive. Default: none.
    ///
    /// The reconciler must commit to the same inbox.
    pub fn with_reconciler(mut self, reconciler: Reconciler) -> Self {
        self.reconciler = Some(reconciler);
        self
    }

    /// Listens on a host and port. Port 0 chooses a free port.
    ///
    /// Installs a metrics recorder for the process, so a process can bind only one receiver.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Listen`] if the address cannot be bound, and [`ServerError::Metrics`] if the process already
    /// has a metrics recorder.
    pub async fn bind(self, host: &str, port: u16) -> Result<BoundServer, ServerError> {
        let listener = serve::listen(host, port)
            .await
            .map_err(ServerError::Listen)?;
        let address = listener.local_addr().map_err(ServerError::Listen)?;
        self.late_archive.get_or_init(|| self.archive);
        let worker = self.handlers.map(|handlers| {
            let worker = self.inbox.worker(handlers);
            let worker = worker.with_concurrency(self.concurrency);
            worker.expect("the setter checked the concurrency")
        });
        let metrics = metrics::install().map_err(|error| ServerError::Metrics(error.into()))?;
        let app = app::router(self.secrets, self.inbox, self.store, metrics);
        Ok(BoundServer {
            listener,
            address,
            app,
            worker,
            reconciler: self.reconciler,
        })
    }
}

/// A receiver that listens. It serves once it [runs](Self::run_until).
#[derive(Debug)]
#[must_use = "a receiver responds to nothing until it runs"]
pub struct BoundServer {
    listener: TcpListener,
    address: SocketAddr,
    app: Router,
    worker: Option<InboxWorker>,
    reconciler: Option<Reconciler>,
}

impl BoundServer {
    /// Returns the address on which the receiver listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes, then drains: requests and handlers in flight have 10 s to complete.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Worker`] or [`ServerError::WorkerPanicked`] if the inbox's worker ended by itself. The
    /// receiver then drains too, because it must not acknowledge events that nobody handles.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<(), ServerError> {
        let (stopping, stopped) = watch::channel(());
        let wait = || {
            let mut stopped = stopped.clone();
            async move {
                let _ = stopped.changed().await;
            }
        };
        let (worker, stopped) = (self.worker, wait());
        let mut worked = tokio::spawn(async {
            match worker {
                Some(worker) => worker.run_until(stopped).await,
                None => {
                    stopped.await;
                    Ok(())
                }
            }
        });
        let served = serve::serve(self.listener, self.app, wait());
        let reconciled = async {
            if let Some(reconciler) = self.reconciler {
                reconciler.run_until(wait()).await;
            }
        };
        let worked = async {
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
