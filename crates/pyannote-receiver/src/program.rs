use std::{fs, net::SocketAddr, path::Path, process::ExitCode};

use pyannote_cli::{Failure, Signals, log_to_stderr, print};
use tokio::{runtime::Runtime, sync::oneshot};
use tower_pyannote::{ConfigError, HandlerRegistry};
use tower_pyannote_archive::Archive;

use crate::{
    commands::{deliver, doctor, health, inbox},
    database,
    endpoints::ENDPOINTS,
    error::{ServerError, in_full},
    secrets,
    server::Server,
    settings::{Command, Flags, Serve},
    store::{self, Store},
};

impl Server {
    /// Runs the program `pyannote-receiver` with more handlers, and returns its exit code.
    ///
    /// `handlers` receives the registry with the handlers `archive` and `log`, and adds to it. The program reads its
    /// arguments, the environment and the file `.env`. Call this first in `main`, before any other thread runs, because
    /// the program copies `.env` into the environment.
    pub fn main<F>(handlers: F) -> ExitCode
    where
        F: FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
    {
        start(handlers).unwrap_or_else(|failure| failure.report())
    }
}

fn start(
    handlers: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
) -> Result<ExitCode, Failure> {
    let Some(flags) = pyannote_cli::parse::<Flags>()? else {
        return Ok(ExitCode::SUCCESS);
    };
    if let Some(Command::Doctor(case)) = &flags.command {
        return doctor::run(case);
    }
    log_to_stderr(flags.debug)?;
    let runtime =
        Runtime::new().map_err(|error| Failure::run(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(async {
        match &flags.command {
            Some(Command::Inbox(command)) => {
                let database = flags.database_url.as_deref();
                let inbox = database::open_existing(database, &flags.data_dir).await?;
                inbox::run(command, &inbox).await
            }
            Some(Command::Deliver(delivery)) => deliver::run(delivery).await,
            Some(Command::Health(check)) => health::run(check).await,
            Some(Command::Serve(serve)) => run(&flags, serve, handlers).await,
            _ => run(&flags, &flags.serve, handlers).await,
        }
    });
    // Does not wait for tasks that hang, such as a write to a broken disk.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn run(
    flags: &Flags,
    serve: &Serve,
    handlers: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
) -> Result<(), Failure> {
    let secrets = secrets::webhook_secret()?.to_set()?;
    let dir = &flags.data_dir;
    let store = open_archive(serve.archive.as_deref(), dir).await?;
    let inbox = database::open(flags.database_url.as_deref(), dir).await?;
    let reconciler = serve.reconcile.reconciler(&inbox)?;
    let mut server = Server::new(secrets, inbox, store)
        .with_handlers(handlers)
        .map_err(Failure::run)?;
    // Receivers that share a remote store may have inboxes of their own, in SQLite.
    if serve.archive.is_none() || is_postgres(flags.database_url.as_deref()) {
        server = server.with_archive(Archive::behind_inbox);
    }
    if serve.no_handlers {
        server = server.without_handlers();
    }
    if let Some(reconciler) = reconciler {
        server = server.with_reconciler(reconciler);
    }

    // Before the address is printed, because a reader of that line may stop the server at once.
    let mut signals = Signals::new()?;
    let (host, port) = (serve.host.as_str(), serve.port);
    let bound = server.bind(host, port).await.map_err(|error| match error {
        ServerError::Listen(error) => Failure::run(format!(
            "--host {host}, --port {port} (or WEBHOOK_SERVER_HOST, WEBHOOK_SERVER_PORT): cannot listen there: {error}"
        )),
        error => Failure::run(in_full(&error)),
    })?;
    announce(bound.address(), flags, serve)?;

    let (stop, stopped) = oneshot::channel::<()>();
    let served = bound.run_until(async {
        let _ = stopped.await;
    });
    let second_signal = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping after the deliveries in flight");
        drop(stop);
        signals.next().await
    };
    tokio::select! {
        served = served => served.map_err(|error| Failure::run(in_full(&error))),
        signal = second_signal => Err(Failure::run(format!("stopped at once by a second {signal}"))),
    }
}

async fn open_archive(url: Option<&str>, data_dir: &Path) -> Result<Store, Failure> {
    let Some(url) = url else {
        let opened = store::open_directory(data_dir).await;
        return opened.map(Store::from).map_err(|error| {
            let dir = data_dir.display();
            Failure::run(format!("--data-dir {dir}: cannot store there: {error}"))
        });
    };
    // The inbox may be in it.
    fs::create_dir_all(data_dir)
        .map_err(|error| Failure::run(format!("--data-dir {}: {error}", data_dir.display())))?;
    let opened = store::open_store(url).await;
    opened.map_err(|error| {
        Failure::run(format!(
            "--archive (or WEBHOOK_SERVER_ARCHIVE): {}",
            in_full(&error)
        ))
    })
}

fn is_postgres(url: Option<&str>) -> bool {
    url.is_some_and(|url| url.starts_with("postgres"))
}

/// Logs the endpoints and prints the address to stdout.
fn announce(address: SocketAddr, flags: &Flags, serve: &Serve) -> Result<(), Failure> {
    let (data_dir, handlers) = (flags.data_dir.display(), !serve.no_handlers);
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(%address, %data_dir, handlers, "pyannote-receiver {version} listens");
    let url = format!("http://{address}");
    for (method, path, about) in ENDPOINTS {
        tracing::info!("{method} {url}{path}: {about}");
    }
    print(format!("listening on {url}\n"))
}
