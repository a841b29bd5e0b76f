use std::process::ExitCode;

use pyannote_cli::{Failure, Signals, log_to_stderr};
use tokio::{runtime::Runtime, sync::oneshot};
use tower_pyannote::{ConfigError, HandlerRegistry, SecretSet};

use crate::{
    commands::{doctor, inbox},
    server::{Server, ServerError},
    settings::{Command, Flags, SECRET, Serve},
    storage,
};

impl Server {
    /// Runs the program `pyannote-receiver` with handlers of your own, and returns its exit code.
    ///
    /// `handlers` gets the registry that holds the handlers `archive` and `log`, and adds to it. Flags, environment and the
    /// file `.env` are read as the program reads them. Call it first in `main`, while no other thread runs, because `.env`
    /// goes into the environment.
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
                let inbox = inbox::open_existing(database, &flags.data_dir).await?;
                inbox::run(command, &inbox).await
            }
            Some(Command::Serve(serve)) => run(&flags, serve, handlers).await,
            _ => run(&flags, &flags.serve, handlers).await,
        }
    });
    // Whatever still runs was given up, such as a write that hangs.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn run(
    flags: &Flags,
    serve: &Serve,
    handlers: impl FnOnce(HandlerRegistry) -> Result<HandlerRegistry, ConfigError>,
) -> Result<(), Failure> {
    let secrets = SecretSet::from_env(SECRET).map_err(|error| Failure::usage(&error))?;
    let dir = &flags.data_dir;
    let store = storage::open_directory(dir).await.map_err(|error| {
        Failure::run(format!(
            "--data-dir {}: cannot store there: {error}",
            dir.display()
        ))
    })?;
    let inbox = inbox::open(flags.database_url.as_deref(), dir).await?;
    let reconciler = serve.reconcile.reconciler(&inbox)?;
    let mut server = Server::new(secrets, inbox, store)
        .with_handlers(handlers)
        .map_err(Failure::run)?;
    if let Some(reconciler) = reconciler {
        server = server.with_reconciler(reconciler);
    }

    // Before the first line says that the server is up, because a reader of that line may stop it at once.
    let mut signals = Signals::new()
        .map_err(|error| Failure::run(format!("cannot listen for signals: {error}")))?;
    let (host, port) = (serve.host.as_str(), serve.port);
    let bound = server.bind(host, port).await.map_err(|error| match error {
        ServerError::Listen(error) => Failure::run(format!(
            "--host {host}, --port {port} (or WEBHOOK_SERVER_HOST, WEBHOOK_SERVER_PORT): cannot listen there: {error}"
        )),
        error => Failure::run(error),
    })?;
    let address = bound.address();
    inbox::print(
        &mut std::io::stdout(),
        &format!("listening on http://{address}\n"),
    )?;
    tracing::info!(%address, data_dir = %dir.display(), "listening");

    let (stop, stopped) = oneshot::channel::<()>();
    let served = bound.run_until(async {
        let _ = stopped.await;
    });
    let asked_twice = async {
        let signal = signals.next().await;
        tracing::info!(signal, "stopping, once deliveries in flight are done");
        drop(stop);
        signals.next().await
    };
    tokio::select! {
        served = served => served.map_err(Failure::run),
        signal = asked_twice => Err(Failure::run(format!("stopped at once by a second {signal}"))),
    }
}
