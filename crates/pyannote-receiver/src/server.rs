use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tower_pyannote::{ConfigError, HandlerRegistry, SecretSet};
use tower_pyannote_inbox::{Inbox, InboxWorker, Reconciler};

use crate::{
    app::{self, Webhook},
    bound::{BoundServer, Listener, Work},
    clients::Clients,
    connections::Connections,
    endpoints,
    error::ServerError,
    handlers,
    health::{Health, InboxCounts},
    limits::PRIVATE_CONNECTIONS,
    metrics,
    page::{self, Overview, PageSettings},
    rotation::{Rotation, Served},
    serve::{self, Serving},
    settings::Limits,
    state::{Answers, State},
    store::Store,
};

/// A receiver: verifies deliveries, commits them to an inbox, and runs handlers over them.
///
/// It serves `POST /webhook`, and for the operator `/`, `/livez`, `/readyz`, `/health` and `/metrics`, which can have a
/// [listener of their own](Self::with_private_listener).
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
#[must_use]
pub struct Server {
    /// `None` for a receiver without `/webhook`.
    secrets: Option<SecretSet>,
    inbox: Inbox,
    store: Store,
    handlers: Option<HandlerRegistry>,
    configure: Configure,
    reconciler: Option<Reconciler>,
    private: Option<(String, u16)>,
    pub(crate) page: Option<PageSettings>,
    limits: Limits,
    drain: Duration,
}

/// Sets up a worker. The settings were checked before.
type Configure = Box<dyn FnOnce(InboxWorker) -> InboxWorker + Send>;

impl Server {
    /// Makes a receiver with the handlers `archive`, which keeps each event in `store`, and `log`.
    ///
    /// [`open_directory`](crate::open_directory) opens a local directory as a store, and [`open_store`](crate::open_store) any
    /// store by its URL.
    pub fn new(secrets: SecretSet, inbox: Inbox, store: impl Into<Store>) -> Self {
        Self {
            secrets: Some(secrets),
            ..Self::without_webhook(inbox, store)
        }
    }

    /// Makes a receiver that only handles the events which other receivers commit to the same inbox. It serves the pages
    /// for the operator, but not `/webhook`.
    pub fn without_webhook(inbox: Inbox, store: impl Into<Store>) -> Self {
        let store = store.into();
        let handlers = handlers::registry(store.archive());
        Self {
            secrets: None,
            inbox,
            store,
            handlers: Some(handlers),
            configure: Box::new(|worker| worker),
            reconciler: None,
            private: None,
            page: None,
            limits: Limits::default(),
            drain: DRAIN,
        }
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
        self,
        events: usize,
    ) -> Result<Self, tower_pyannote_inbox::ConfigError> {
        self.with_worker(move |worker| worker.with_concurrency(events))
    }

    /// Sets up the worker, with any setting of [`InboxWorker`]. Default: the worker's own defaults.
    ///
    /// # Errors
    ///
    /// Returns the error of `configure`.
    ///
    /// # Example: a longer retention
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use pyannote_receiver::Server;
    /// use tower_pyannote_inbox::ConfigError;
    ///
    /// fn configure(server: Server) -> Result<Server, ConfigError> {
    ///     server.with_worker(|worker| worker.with_retention(Duration::from_secs(30 * 24 * 60 * 60)))
    /// }
    /// ```
    pub fn with_worker<E: fmt::Debug>(
        mut self,
        configure: impl Fn(InboxWorker) -> Result<InboxWorker, E> + Send + 'static,
    ) -> Result<Self, E> {
        // Checks the settings now. The handlers are complete only when the receiver is bound.
        let _ = configure(self.inbox.worker(HandlerRegistry::new()))?;
        let before = self.configure;
        self.configure = Box::new(move |worker| {
            configure(before(worker)).expect("the settings were accepted before")
        });
        Ok(self)
    }

    /// Runs a reconciler, which fetches events whose webhook did not arrive. Default: none.
    ///
    /// The reconciler must commit to the same inbox.
    pub fn with_reconciler(mut self, reconciler: Reconciler) -> Self {
        self.reconciler = Some(reconciler);
        self
    }

    /// Serves the pages for the operator on a listener of their own, so that the public one has only `/webhook`. Default: one
    /// listener for all. Port 0 chooses a free port.
    pub fn with_private_listener(mut self, host: impl Into<String>, port: u16) -> Self {
        self.private = Some((host.into(), port));
        self
    }

    /// Sets how long requests and handlers in flight may take after the receiver is stopped. Default: 10 s.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain = timeout;
        self
    }

    /// Sets the limits on bodies and connections, which have to fit together.
    pub(crate) fn with_limits(mut self, limits: Limits) -> Result<Self, ConfigError> {
        Webhook::new(&limits, self.inbox.clone())?;
        self.limits = limits;
        Ok(self)
    }

    /// Listens on a host and port. Port 0 chooses a free port. A receiver without `/webhook` that has a private listener
    /// does not use this address.
    ///
    /// Installs a metrics recorder for the process, so a process can bind only one receiver.
    ///
    /// # Errors
    ///
    /// Returns [`ServerError::Listen`] or [`ServerError::ListenPrivate`] if an address cannot be bound, and
    /// [`ServerError::Metrics`] if the process already has a metrics recorder.
    pub async fn bind(self, host: &str, port: u16) -> Result<BoundServer, ServerError> {
        let has_public = self.secrets.is_some() || self.private.is_none();
        let public = match has_public {
            true => Some(
                serve::listen(host, port)
                    .await
                    .map_err(ServerError::Listen)?,
            ),
            false => None,
        };
        let private = match &self.private {
            Some((host, port)) => {
                let listener = serve::listen(host, *port).await;
                Some(listener.map_err(ServerError::ListenPrivate)?)
            }
            None => None,
        };

        let metrics = metrics::install().map_err(|error| ServerError::Metrics(error.into()))?;
        let is_shared = self.secrets.is_some() && private.is_none();
        let state = Arc::new(State {
            answers: Answers::default(),
            health: Health::new(self.inbox.clone(), Arc::clone(self.store.object_store())),
            inbox: InboxCounts::new(self.inbox.clone()),
            metrics,
            endpoints: match is_shared {
                true => endpoints::SHARED,
                false => endpoints::PRIVATE,
            },
            has_page: self.page.is_some(),
            draining: AtomicBool::new(false),
        });
        let beside = match private {
            Some(_) => PRIVATE_CONNECTIONS,
            None => 0,
        };
        let connections = |wanted, beside| Arc::new(Connections::new(wanted, beside));
        let public_connections = connections(self.limits.connections, beside);
        let private_connections = connections(PRIVATE_CONNECTIONS, 0);
        let webhook = self.secrets.map(|secrets| {
            let webhook = Webhook::new(&self.limits, self.inbox.clone());
            (webhook.expect("the setter checked the limits"), secrets)
        });
        let listeners = [
            public
                .as_ref()
                .map(|_| ("public", Arc::clone(&public_connections))),
            private
                .as_ref()
                .map(|_| ("private", Arc::clone(&private_connections))),
        ];
        let overview = Overview {
            listeners: listeners.into_iter().flatten().collect(),
            limits: self.limits.clone(),
            budget: webhook
                .as_ref()
                .map(|(webhook, _)| webhook.budget().clone()),
            reconciles: self.reconciler.is_some(),
        };
        let pages = app::pages(&state);
        let (pages, page) = match (self.page, private.as_ref().or(public.as_ref())) {
            (Some(settings), Some(listener)) => {
                let address = listener.local_addr().map_err(ServerError::Listen)?;
                let (inbox, state) = (self.inbox.clone(), Arc::clone(&state));
                let (page, mounted) =
                    page::mount(settings, state, overview, inbox, address, is_shared)?;
                (pages.merge(page), Some(mounted))
            }
            _ => (pages, None),
        };
        let served = webhook.map(|(webhook, secrets)| {
            let beside = match is_shared {
                true => pages.clone(),
                false => axum::Router::new(),
            };
            Arc::new(Served::new(webhook, secrets, Arc::clone(&state), beside))
        });

        let clients = Arc::new(Clients::new(&self.limits));
        let serving = |app, connections| Serving {
            app,
            connections,
            clients: Arc::clone(&clients),
            drain: self.drain,
        };
        // The sender of the pages is dropped at once. A receiver keeps the last value.
        let only_pages = || watch::channel(pages.clone()).1;
        let public = public.map(|listener| {
            let app = served
                .as_ref()
                .map_or_else(only_pages, |served| served.subscribe());
            Listener::new(listener, serving(app, public_connections))
        });
        let private = private
            .map(|listener| Listener::new(listener, serving(only_pages(), private_connections)));
        let worker = self.handlers.map(|handlers| {
            let worker = (self.configure)(self.inbox.worker(handlers));
            worker.with_drain_timeout(self.drain)
        });
        let (reconcilers, replacements) = mpsc::unbounded_channel();
        Ok(BoundServer {
            public: public.transpose().map_err(ServerError::Listen)?,
            private: private.transpose().map_err(ServerError::ListenPrivate)?,
            state,
            page,
            work: Work {
                worker,
                reconciler: self.reconciler,
                replacements,
            },
            rotation: Rotation {
                webhook: served,
                reconcilers,
            },
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("secrets", &self.secrets)
            .field("handlers", &self.handlers)
            .field("reconciler", &self.reconciler)
            .field("private", &self.private)
            .field("limits", &self.limits)
            .field("drain_timeout", &self.drain)
            .finish_non_exhaustive()
    }
}

const DRAIN: Duration = Duration::from_secs(10);
